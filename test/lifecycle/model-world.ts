import assert from "node:assert";
import type { Action } from "../../src/lifecycle/action.ts";
import { mayHoldLeaseAgain } from "../../src/lifecycle/gateway-lease.ts";
import type { LatestFloor } from "../../src/lifecycle/latest-floor.ts";
import type {
  DerivedShard,
  GatewayStatus,
  ObservedMesh,
  ObservedSeal,
  RefusedBind,
} from "../../src/lifecycle/observed-mesh.ts";
import { type Placement, placedManifest } from "../../src/lifecycle/placement.ts";
import { RETIRE_GRACE_MS } from "../../src/lifecycle/plan-retire.ts";
import type { Quarantine } from "../../src/lifecycle/quarantine.ts";
import type { RetiredSnapshot } from "../../src/lifecycle/retirement.ts";
import { shardCut } from "../../src/lifecycle/shard-cut.ts";
import type { SnapshotRecord } from "../../src/lifecycle/snapshot-record.ts";
import type { VerifiedTuple } from "../../src/lifecycle/verified-tuple.ts";
import type { Manifest } from "../../src/manifest/manifest.ts";
import { type Cut, cutContains, cutOf, cutText } from "../../src/mesh/cut.ts";
import type { Stamp } from "../../src/mesh/stamp.ts";
import type { RouteTable } from "../../src/wire/generated/skynetes/v1/table_pb.ts";

export interface ModelNode {
  name: string;
  up: boolean;
  /** What of the log each of its shards has applied. */
  position: Cut;
  frozen: Map<string, Map<number, string>>;
  /** Shards whose store does not hold what the log says. */
  divergent: Set<number>;
}

export interface ModelService {
  version: string;
  node: string;
  up: boolean;
  instance: number;
  address: string;
  bound: Stamp[];
  refuses: boolean;
  refused: RefusedBind[];
}

export interface ModelGateway {
  name: string;
  reachable: boolean;
  leaseAlive: boolean;
  instance: number;
  table: RouteTable | undefined;
  verified: VerifiedTuple[];
  /** Each works by the table that it began under. */
  queries: { snapshot: string; version: string; table: RouteTable | undefined }[];
}

/** A mesh that does what it is told, and holds every promise against whoever tells it. */
export class ModelWorld {
  readonly #written: Manifest;
  placements: Placement[];
  quarantined: Quarantine[] = [];
  derived: DerivedShard[] = [];
  retirements: RetiredSnapshot[] = [];
  /** What nodes have open; a shard that moves is opened by `host`. */
  readonly hosted: Set<string>;
  nowMs = 0;
  lastDueMs = 0;
  records: SnapshotRecord[] = [];
  table: RouteTable | undefined;
  floors: readonly LatestFloor[] = [];
  seals: ObservedSeal[] = [];
  nodes: ModelNode[];
  services: ModelService[];
  gateways: ModelGateway[];
  end: Cut;
  /** Everything that ever served, to see that nothing goes missing. */
  readonly latestCuts = new Map<string, Cut>();
  #addresses = 0;

  constructor(manifest: Manifest, gateways: readonly string[]) {
    this.#written = manifest;
    this.placements = manifest.mesh.placements.flatMap((nodes, shard) =>
      nodes.map((node): Placement => ({ shard, node, phase: "Placed" })),
    );
    this.hosted = new Set(this.placements.map(({ shard, node }) => `${shard} ${node}`));
    this.end = cutOf(
      manifest.mesh.topics.flatMap((topic) =>
        Array.from({ length: topic.partitions }, (_, partition) => ({
          topic: topic.name,
          topicId: `id-${topic.name}`,
          partition,
          position: 0n,
        })),
      ),
    );
    this.nodes = manifest.mesh.nodes.map(({ name }) => ({
      name,
      up: true,
      position: this.end,
      frozen: new Map(),
      divergent: new Set(),
    }));
    this.services = manifest.versions.flatMap((version) =>
      manifest.mesh.nodes.map((node) => ({
        version: version.name,
        node: node.name,
        up: true,
        instance: 1,
        address: this.newAddress(),
        bound: [],
        refuses: false,
        refused: [],
      })),
    );
    this.gateways = gateways.map((name) => ({
      name,
      reachable: true,
      leaseAlive: true,
      instance: 1,
      table: undefined,
      verified: [],
      queries: [],
    }));
  }

  get manifest(): Manifest {
    return placedManifest(this.#written, this.placements);
  }

  newAddress(): string {
    this.#addresses += 1;
    return `127.0.0.1:${this.#addresses}`;
  }

  observe(): ObservedMesh {
    return {
      nowMs: this.nowMs,
      snapshots: this.records,
      table: this.table,
      floors: this.floors,
      lastDueMs: this.lastDueMs,
      nodes: this.nodes.map((node) => ({
        name: node.name,
        status: node.up
          ? { kind: "up", instance: "1", shards: this.#shardsOf(node) }
          : { kind: "down", reason: "connection refused" },
      })),
      services: this.services.map((s) => ({
        version: s.version,
        node: s.node,
        status: s.up
          ? {
              kind: "up",
              instance: String(s.instance),
              address: s.address,
              service: this.manifest.versions.find((v) => v.name === s.version)?.service ?? "",
              descriptors: new TextEncoder().encode(s.version),
              converse: true,
              bound: [...s.bound],
              refused: [...s.refused],
            }
          : { kind: "down", reason: "exited" },
      })),
      seals: [...this.seals],
      placements: [...this.placements],
      quarantined: [...this.quarantined],
      derived: [...this.derived],
      // Here an id may be given again.
      retirements: this.retirements.filter(({ id }) => this.#record(id) === undefined),
      gateways: this.gateways.map((g) => ({
        name: g.name,
        leaseAlive: g.leaseAlive,
        status: g.reachable ? this.#statusOf(g) : undefined,
      })),
    };
  }

  /** As a driver must: whoever lost its lease has it again only if it can be reached and is on nothing that is gone. */
  renewLease(g: ModelGateway): void {
    if (!g.leaseAlive && g.reachable) g.leaseAlive = mayHoldLeaseAgain(this.#statusOf(g), this.table);
  }

  #statusOf(g: ModelGateway): GatewayStatus {
    const keys = [...new Set(g.queries.map((q) => JSON.stringify([q.snapshot, q.version])))];
    return {
      instance: String(g.instance),
      epoch: g.table?.epoch ?? 0n,
      inUse: keys.map((key) => {
        const [snapshot, version] = JSON.parse(key) as [string, string];
        const under = g.queries.filter((q) => q.snapshot === snapshot && q.version === version);
        const oldestEpoch = under.map(({ table }) => table?.epoch ?? 0n).reduce((a, b) => (a < b ? a : b));
        return { snapshot, version, queries: under.length, oldestEpoch };
      }),
      verified: [...g.verified],
    };
  }

  #shardsOf(node: ModelNode) {
    return this.manifest.mesh.placements.flatMap((_, shard) => {
      if (!this.hosted.has(`${shard} ${node.name}`)) return [];
      const frozen = [...node.frozen].flatMap(([snapshot, shards]) => {
        const stateDigest = shards.get(shard);
        return stateDigest === undefined
          ? []
          : [{ snapshot, stateDigest, manifestSha256: `${node.name}:${stateDigest}` }];
      });
      const position = shardCut(this.manifest.mesh, node.position, shard);
      return [{ shard, position, horizon: [], frozen, rejected: 0n, alarm: undefined }];
    });
  }

  /** Does it, or throws an Error when the world is not so any more; an AssertionError is a broken promise. */
  execute(action: Action): void {
    switch (action.kind) {
      case "create-scheduled": {
        const bindings = this.manifest.mesh.schedule?.bindings ?? [];
        const wish = { asOfMs: undefined, allowInexactAsOf: false, cut: undefined, pinned: false, retiring: false };
        const record = { ...wish, id: action.snapshot, bindings, scheduled: true, createdAtMs: action.dueMs };
        assert(this.#record(action.snapshot) === undefined, "a scheduled snapshot took the name of another");
        this.records = [...this.records, record];
        this.lastDueMs = action.dueMs;
        return;
      }
      case "cut":
        this.#change(action.snapshot, (record) => {
          assert(record.cut === undefined, "a cut was fixed twice");
          return { ...record, cut: { positions: this.end, fixedAtMs: this.nowMs, inexactTopics: [] } };
        });
        return;
      case "adopt":
        this.#change(action.snapshot, (record) => {
          assert(record.cut === undefined, "a cut was adopted over another");
          return { ...record, cut: action.cut };
        });
        return;
      case "freeze": {
        const node = this.#upNode(action.node);
        if (!cutContains(node.position, action.cut)) throw new Error("cut-not-reached");
        const shards = node.frozen.get(action.snapshot) ?? new Map<number, string>();
        if (!this.hosted.has(`${action.shard} ${action.node}`)) throw new Error("not hosted");
        const right = `${action.shard}:${cutText(action.cut)}`;
        const digest = node.divergent.has(action.shard) ? `${right} but for ${action.node}` : right;
        node.frozen.set(action.snapshot, shards.set(action.shard, digest));
        return;
      }
      case "seal": {
        const shards = new Map(action.replicas.map((replica) => [replica.shard, replica.stateDigest]));
        assert.equal(shards.size, this.manifest.mesh.shards, "sealed before every shard was frozen");
        for (const { shard, stateDigest } of action.replicas) {
          assert.equal(stateDigest, shards.get(shard));
          assert(!stateDigest.includes("but for"), "sealed what is not in the log");
        }
        const stateDigests = [...shards].sort(([a], [b]) => a - b).map(([, digest]) => digest);
        const { positions: cut, fixedAtMs, inexactTopics } = action.cut;
        const seal = { snapshot: action.snapshot, sha256: `seal:${stateDigests}`, cut, fixedAtMs, inexactTopics };
        if (!this.seals.some((s) => s.snapshot === action.snapshot)) this.seals.push({ ...seal, stateDigests });
        return;
      }
      case "bind": {
        const service = this.#upService(action.address);
        const node = this.#upNode(action.node);
        const stateDigest = node.frozen.get(action.snapshot)?.get(action.shard);
        assert(this.#seal(action.snapshot) !== undefined, "bound before the seal");
        if (stateDigest === undefined) throw new Error("not frozen");
        const refused = { snapshot: action.snapshot, shard: action.shard, reason: "out of memory" };
        service.refused = service.refused.filter((r) => r.snapshot !== action.snapshot || r.shard !== action.shard);
        if (service.refuses) {
          service.refused.push(refused);
          throw new Error("out-of-memory");
        }
        const stamp = { shard: action.shard, snapshot: action.snapshot, stateDigest, serviceVersion: action.version };
        const isSame = (s: Stamp) => s.shard === stamp.shard && s.snapshot === stamp.snapshot;
        if (!service.bound.some(isSame)) service.bound.push(stamp);
        return;
      }
      case "unbind": {
        const service = this.#upService(action.address);
        for (const gateway of this.gateways.filter((g) => g.leaseAlive)) {
          assert(!mayCall(gateway.table, action), `unbound what ${gateway.name} still routes to`);
          const isUsed = gateway.queries.some(
            (q) => q.snapshot === action.snapshot && q.version === action.version && mayCall(q.table, action),
          );
          assert(!isUsed, `unbound under a query of ${gateway.name}`);
        }
        service.bound = service.bound.filter((s) => s.snapshot !== action.snapshot || s.shard !== action.shard);
        return;
      }
      case "verify": {
        const gateway = this.#gateway(action.gateway);
        for (const tuple of action.tuples) {
          this.#probe(action.table, tuple);
          gateway.verified = [...gateway.verified, tuple];
        }
        return;
      }
      case "publish":
        assert(this.table === undefined || action.table.epoch > this.table.epoch, "the epoch went back");
        for (const { shard, placements } of action.table.shards) {
          for (const { node, endpoints } of placements) {
            const isKept = endpoints.length > 0 && this.quarantined.some((q) => q.shard === shard && q.node === node);
            assert(!isKept, `published shard ${shard} on ${node}, which is quarantined`);
          }
        }
        this.table = action.table;
        this.floors = action.floors;
        for (const { service, snapshot } of action.table.latest) {
          const cut = this.#record(snapshot)?.cut?.positions ?? [];
          assert(cutContains(cut, this.latestCuts.get(service) ?? []), `latest of ${service} went back`);
          this.latestCuts.set(service, cut);
        }
        return;
      case "apply": {
        const gateway = this.#gateway(action.gateway);
        if ((gateway.table?.epoch ?? 0n) > action.table.epoch) throw new Error("table is older");
        gateway.table = action.table;
        return;
      }
      case "retire":
        this.#change(action.snapshot, (record) => {
          assert(!record.pinned, "a pinned snapshot was retired by the schedule");
          return { ...record, retiring: true, retirement: { atMs: this.nowMs, why: action.why } };
        });
        return;
      case "doom":
        this.#change(action.snapshot, (record) => {
          if (!record.retiring) return record;
          const graceMs = this.manifest.mesh.retireGraceMs ?? RETIRE_GRACE_MS;
          assert(this.nowMs >= (record.retirement?.atMs ?? -graceMs) + graceMs, "doomed within the grace");
          return { ...record, doomed: true };
        });
        return;
      case "drop": {
        const isBound = this.services.some((s) => s.up && s.bound.some((stamp) => stamp.snapshot === action.snapshot));
        assert(!isBound, "dropped what is still bound");
        this.#assertDoomed(action.snapshot);
        this.#assertUnused(action.snapshot);
        assert(!this.table?.snapshots.some((s) => s.id === action.snapshot), "dropped what is still routed to");
        this.#upNode(action.node).frozen.delete(action.snapshot);
        return;
      }
      case "delete-seal":
        this.#assertDoomed(action.snapshot);
        for (const node of this.nodes) assert(!node.frozen.has(action.snapshot), "unsealed what is still frozen");
        this.seals = this.seals.filter((seal) => seal.snapshot !== action.snapshot);
        return;
      case "forget":
        assert(this.#seal(action.snapshot) === undefined, "forgot what is still sealed");
        this.#assertDoomed(action.snapshot);
        this.retirements.push({ id: action.snapshot, retirement: this.#record(action.snapshot)?.retirement });
        this.records = this.records.filter((record) => record.id !== action.snapshot);
        return;
      case "rederive": {
        const { snapshot, shard, node } = action;
        this.#upNode(node);
        this.derived = this.derived.filter((d) => d.snapshot !== snapshot || d.shard !== shard || d.node !== node);
        const stateDigest = `${shard}:${cutText(action.cut)}`;
        this.derived.push({ snapshot, shard, node, stateDigest, tables: [] });
        return;
      }
      case "quarantine": {
        const { kind: _, ...found } = action;
        assert(!action.expected.includes("but for"), "took what is not in the log for right");
        this.quarantined.push({ ...found, sinceMs: this.nowMs, rebuilt: false });
        return;
      }
      case "rebuild": {
        const node = this.#upNode(action.node);
        this.#assertUnbound(action.shard, action.node);
        node.divergent.delete(action.shard);
        this.#thaw(node, action.shard);
        const isIt = (q: Quarantine) => q.shard === action.shard && q.node === action.node;
        this.quarantined = this.quarantined.map((q) => (isIt(q) ? { ...q, rebuilt: true } : q));
        return;
      }
      case "readmit": {
        assert(!this.#node(action.node).divergent.has(action.shard), "readmitted a replica that is still divergent");
        this.quarantined = this.quarantined.filter((q) => q.shard !== action.shard || q.node !== action.node);
        return;
      }
      case "host":
        this.#upNode(action.node);
        this.hosted.add(`${action.shard} ${action.node}`);
        return;
      case "release":
        this.#assertReplaced(action.shard, action.node);
        this.#place(action.shard, (p) => (p.node === action.node ? { ...p, phase: "Removing" } : p));
        if (!this.placements.some((p) => p.shard === action.shard && p.phase === "Leaving")) {
          this.#place(action.shard, (p) => (p.phase === "Joining" ? { ...p, phase: "Placed" } : p));
        }
        return;
      case "remove": {
        const node = this.#upNode(action.node);
        this.#assertUnbound(action.shard, action.node);
        this.hosted.delete(`${action.shard} ${action.node}`);
        this.#thaw(node, action.shard);
        const isIt = (p: Placement) => p.shard === action.shard && p.node === action.node && p.phase === "Removing";
        this.placements = this.placements.filter((p) => !isIt(p));
        return;
      }
      default:
        action satisfies never;
    }
  }

  #assertDoomed(snapshot: string): void {
    const record = this.#record(snapshot);
    assert(record === undefined || record.doomed === true, `deleted ${snapshot}, and its retirement may be taken back`);
  }

  /** No gateway with a lease has a query on it, or a table by which it may begin one. */
  #assertUnused(snapshot: string): void {
    for (const { name, table, queries } of this.gateways.filter((g) => g.leaseAlive)) {
      const isUsed = table?.snapshots.some((s) => s.id === snapshot) || queries.some((q) => q.snapshot === snapshot);
      assert(!isUsed, `deleted ${snapshot} under the lease of ${name}`);
    }
  }

  /** Another node serves all of it, by every table that a lease holder may work by from now on. */
  #assertReplaced(shard: number, leaving: string): void {
    for (const { id, bindings } of this.table?.snapshots ?? []) {
      if (this.#record(id)?.retiring) continue;
      for (const { version } of bindings) {
        const isServed = this.services.some(
          (s) =>
            s.node !== leaving &&
            s.bound.some((b) => b.shard === shard && b.snapshot === id) &&
            mayCall(this.table, { snapshot: id, version, shard, node: s.node, address: s.address }),
        );
        assert(isServed, `released shard ${shard} from ${leaving}, and nobody else serves ${id} with ${version}`);
      }
    }
  }

  #thaw(node: ModelNode, shard: number): void {
    for (const [snapshot, shards] of node.frozen) {
      shards.delete(shard);
      if (shards.size === 0) node.frozen.delete(snapshot);
    }
  }

  #assertUnbound(shard: number, node: string): void {
    const holder = this.services.find((s) => s.up && s.node === node && s.bound.some((b) => b.shard === shard));
    assert(holder === undefined, `took shard ${shard} on ${node} from under ${holder?.version}`);
  }

  #place(shard: number, change: (placement: Placement) => Placement): void {
    this.placements = this.placements.map((p) => (p.shard === shard ? change(p) : p));
  }

  /** A real gateway calls every endpoint of the version, of every shard, and compares the stamps. */
  #probe(table: RouteTable, tuple: VerifiedTuple): void {
    const route = table.snapshots.find((s) => s.id === tuple.snapshot);
    assert(
      route?.bindings.some((b) => b.version === tuple.version),
      "asked to verify what the table does not name",
    );
    const digests = this.#seal(tuple.snapshot)?.stateDigests;
    if (digests === undefined) throw new Error("no seal");
    for (const { shard, placements } of table.shards) {
      const endpoints = placements.flatMap((p) => p.endpoints.filter((e) => e.version === tuple.version));
      if (endpoints.length === 0) throw new Error(`no endpoint of ${tuple.version} for shard ${shard}`);
      for (const { address } of endpoints) {
        const holds = this.#upService(address).bound.some(
          (s) => s.shard === shard && s.snapshot === tuple.snapshot && s.stateDigest === digests[shard],
        );
        if (!holds) throw new Error(`${address} does not hold shard ${shard} of ${tuple.snapshot}`);
      }
    }
  }

  #change(id: string, change: (record: SnapshotRecord) => SnapshotRecord): void {
    this.records = this.records.map((record) => (record.id === id ? change(record) : record));
  }

  #record(id: string): SnapshotRecord | undefined {
    return this.records.find((record) => record.id === id);
  }

  #seal(id: string): ObservedSeal | undefined {
    return this.seals.find((seal) => seal.snapshot === id);
  }

  #node(name: string): ModelNode {
    const node = this.nodes.find((n) => n.name === name);
    assert(node !== undefined, `there is no ${name}`);
    return node;
  }

  #upNode(name: string): ModelNode {
    const node = this.#node(name);
    if (!node.up) throw new Error(`${name} is down`);
    return node;
  }

  #upService(address: string): ModelService {
    const service = this.services.find((s) => s.address === address);
    if (!service?.up) throw new Error(`${address} is down`);
    return service;
  }

  #gateway(name: string): ModelGateway {
    const gateway = this.gateways.find((g) => g.name === name);
    if (!gateway?.reachable) throw new Error(`${name} is not reachable`);
    return gateway;
  }
}

interface Called {
  readonly snapshot: string;
  readonly version: string;
  readonly shard: number;
  readonly node: string;
  readonly address: string;
}

/** Whoever works by the table may send a call there. */
function mayCall(table: RouteTable | undefined, { snapshot, version, shard, node, address }: Called): boolean {
  const isRouted =
    table?.snapshots.find((s) => s.id === snapshot)?.bindings.some((b) => b.version === version) === true;
  const placement = table?.shards.find((s) => s.shard === shard)?.placements.find((p) => p.node === node);
  return isRouted && placement?.endpoints.some((e) => e.version === version && e.address === address) === true;
}
