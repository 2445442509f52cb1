import type { Manifest } from "../manifest/manifest.ts";
import { type Cut, cutContains } from "../mesh/cut.ts";
import { type Stamp, stampDifference } from "../mesh/stamp.ts";
import type { Action } from "./action.ts";
import type {
  ObservedGateway,
  ObservedMesh,
  ObservedSeal,
  ObservedService,
  ObservedShard,
  ReplicaDifference,
  ServiceStatus,
} from "./observed-mesh.ts";
import type { SnapshotRecord } from "./snapshot-record.ts";

/** A process that can be asked to hold shards, and whose answers can be trusted to be its version's. */
export type RunningService = Extract<ServiceStatus, { kind: "up" }>;

/** What was observed, in the order in which the plan asks for it. */
export interface MeshFacts {
  readonly manifest: Manifest;
  readonly observed: ObservedMesh;
  record(snapshot: string): SnapshotRecord | undefined;
  /** The seal of the record's snapshot; not one that the archive holds under its name for another cut. */
  seal(record: SnapshotRecord): ObservedSeal | undefined;
  /** A shard as its node tells of it; absent while the node is down. */
  shardOn(node: string, shard: number): ObservedShard | undefined;
  isUp(node: string): boolean;
  service(version: string, node: string): RunningService | undefined;
  /** The service holds the shard at the snapshot, exactly as sealed. */
  isBound(record: SnapshotRecord, version: string, shard: number, node: string): boolean;
  /** The service could hold it and does not: it has not been asked, or has not answered. */
  mayBind(record: SnapshotRecord, version: string, shard: number, node: string): boolean;
  /** Nothing of the shard on that node may be bound or routed to. */
  isQuarantined(shard: number, node: string): boolean;
  /** Some service on the node has the shard bound, or is about to. */
  holds(node: string, shard: number): boolean;
  /** What audits of gateways have found. */
  readonly differences: readonly ReplicaDifference[];
  /** Gateways on which queries may be under way. */
  readonly holders: readonly ObservedGateway[];
}

export function meshFacts(manifest: Manifest, observed: ObservedMesh): MeshFacts {
  const records = new Map(observed.snapshots.map((record) => [record.id, record]));
  const seals = new Map(observed.seals.map((seal) => [seal.snapshot, seal]));
  const shards = new Map<string, ObservedShard>();
  const up = new Set<string>();
  for (const node of observed.nodes) {
    if (node.status.kind !== "up") continue;
    up.add(node.name);
    for (const shard of node.status.shards) shards.set(`${node.name}/${shard.shard}`, shard);
  }
  const services = new Map<string, RunningService>();
  for (const process of observed.services) {
    const declared = manifest.versions.find((version) => version.name === process.version);
    if (process.status.kind !== "up" || process.status.service !== declared?.service) continue;
    services.set(`${process.version}@${process.node}`, process.status);
  }
  const bound = new Map<string, Stamp>();
  for (const [key, service] of services) {
    for (const stamp of service.bound) bound.set(`${key}/${stamp.shard}/${stamp.snapshot}`, stamp);
  }
  // Still seen, and gone in a moment: nothing may be built on it.
  const leaving = new Set(
    (observed.underWay ?? []).flatMap((action) =>
      action.kind === "unbind" ? [`${action.version}@${action.node}/${action.shard}/${action.snapshot}`] : [],
    ),
  );

  const quarantined = new Set((observed.quarantined ?? []).map(({ shard, node }) => `${node}/${shard}`));

  const facts: MeshFacts = {
    manifest,
    observed,
    record: (snapshot) => records.get(snapshot),
    seal(record) {
      const seal = seals.get(record.id);
      const isOurs = seal !== undefined && record.cut !== undefined && sameCut(seal.cut, record.cut.positions);
      return isOurs && seal.stateDigests.length === manifest.mesh.shards ? seal : undefined;
    },
    shardOn: (node, shard) => shards.get(`${node}/${shard}`),
    isUp: (node) => up.has(node),
    service: (version, node) => services.get(`${version}@${node}`),
    isBound(record, version, shard, node) {
      const stateDigest = facts.seal(record)?.stateDigests[shard];
      const stamp = bound.get(`${version}@${node}/${shard}/${record.id}`);
      if (stateDigest === undefined || stamp === undefined) return false;
      if (quarantined.has(`${node}/${shard}`)) return false;
      if (leaving.has(`${version}@${node}/${shard}/${record.id}`)) return false;
      return stampDifference({ shard, snapshot: record.id, stateDigest, serviceVersion: version }, stamp) === undefined;
    },
    mayBind(record, version, shard, node) {
      const stateDigest = facts.seal(record)?.stateDigests[shard];
      const frozen = facts.shardOn(node, shard)?.frozen.find((replica) => replica.snapshot === record.id);
      if (stateDigest === undefined || frozen?.stateDigest !== stateDigest) return false;
      if (quarantined.has(`${node}/${shard}`)) return false;
      return facts.service(version, node) !== undefined && !facts.isBound(record, version, shard, node);
    },
    isQuarantined: (shard, node) => quarantined.has(`${node}/${shard}`),
    holds(node, shard) {
      const isHere = (s: ObservedService) =>
        s.node === node && s.status.kind === "up" && s.status.bound.some((stamp) => stamp.shard === shard);
      const isComing = (action: Action) => action.kind === "bind" && action.node === node && action.shard === shard;
      return observed.services.some(isHere) || (observed.underWay ?? []).some(isComing);
    },
    differences: observed.gateways.flatMap(({ status }) => status?.differences ?? []),
    holders: observed.gateways.filter((gateway) => gateway.leaseAlive),
  };
  return facts;
}

export function sameCut(a: Cut, b: Cut): boolean {
  return cutContains(a, b) && cutContains(b, a);
}
