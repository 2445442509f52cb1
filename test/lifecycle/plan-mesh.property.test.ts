import assert from "node:assert";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Action } from "../../src/lifecycle/action.ts";
import type { ObservedMesh } from "../../src/lifecycle/observed-mesh.ts";
import { planMesh } from "../../src/lifecycle/plan-mesh.ts";
import { renderPlan } from "../../src/lifecycle/render-plan.ts";
import { newestRetired } from "../../src/lifecycle/retirement.ts";
import type { SnapshotRecord } from "../../src/lifecycle/snapshot-record.ts";
import type { BindingSpec, Manifest } from "../../src/manifest/manifest.ts";
import { ModelWorld } from "./model-world.ts";
import { binding, DELAY, N1, NETWORK, smallManifest, V1, V2 } from "./small-manifest.ts";

const SCHEDULE = { cron: "*/10 * * * * *", keep: 2, bindings: [binding(DELAY, V2)] };
const GRACE_MS = 3_000;

function withGrace(manifest: Manifest, retireGraceMs: number): Manifest {
  return { ...manifest, mesh: { ...manifest.mesh, retireGraceMs } };
}

const MANIFESTS: readonly Manifest[] = [
  smallManifest([["a"], ["b"]]),
  smallManifest([
    ["a", "b"],
    ["b", "a"],
  ]),
  smallManifest([["a", "b"], ["b"], ["a"]], SCHEDULE),
].map((manifest) => withGrace(manifest, GRACE_MS));
const BINDINGS: readonly (readonly BindingSpec[])[] = [
  [binding(DELAY, V1)],
  [binding(DELAY, V2), binding(NETWORK, N1)],
  [binding(NETWORK, N1)],
];

/** Decisions of a run, so that a failing one shrinks. */
class Tape {
  readonly #numbers: readonly number[];
  #next = 0;
  constructor(numbers: readonly number[]) {
    this.#numbers = numbers;
  }
  get ended(): boolean {
    return this.#next >= this.#numbers.length;
  }
  choose(n: number): number {
    const number = this.#numbers[this.#next] ?? 0;
    this.#next += 1;
    return number % n;
  }
  pick<T>(items: readonly T[]): T | undefined {
    return items.length === 0 ? undefined : items[this.choose(items.length)];
  }
}

function record(id: string, bindings: readonly BindingSpec[], createdAtMs: number): SnapshotRecord {
  const wish = { asOfMs: undefined, allowInexactAsOf: false, cut: undefined, pinned: false, retiring: false };
  return { ...wish, id, bindings, scheduled: false, createdAtMs };
}

/** Something happens that nobody planned. */
function disturb(world: ModelWorld, tape: Tape): void {
  world.nowMs += tape.choose(5) * 1000;
  const node = tape.pick(world.nodes)!;
  const service = tape.pick(world.services)!;
  const gateway = tape.pick(world.gateways)!;
  const wished = tape.pick(world.records);
  const restart = () => Object.assign(service, { instance: service.instance + 1, bound: [], refused: [] });
  switch (tape.choose(29)) {
    case 0:
      node.up = !node.up;
      return;
    case 1:
      if (wished !== undefined) node.frozen.delete(wished.id);
      return;
    case 2:
      restart();
      service.up = true;
      return;
    case 3:
      restart();
      service.up = !service.up;
      return;
    case 4:
      restart();
      service.address = world.newAddress();
      return;
    case 5:
      service.refuses = !service.refuses;
      return;
    case 6:
      Object.assign(gateway, { instance: gateway.instance + 1, table: undefined, verified: [], queries: [] });
      return;
    case 7:
      gateway.reachable = !gateway.reachable;
      return;
    case 8:
      // A gateway that cannot be reached stops being ready before its lease is taken for lost.
      if (!gateway.reachable) gateway.leaseAlive = false;
      return;
    case 9:
    case 10: {
      const route = tape.pick(gateway.table?.snapshots ?? []);
      const bound = tape.pick(route?.bindings ?? []);
      if (gateway.leaseAlive && route !== undefined && bound !== undefined) {
        gateway.queries.push({ snapshot: route.id, version: bound.version, table: gateway.table });
      }
      return;
    }
    case 11:
      gateway.queries.shift();
      return;
    case 12: {
      const id = `s${tape.choose(6)}`;
      if (world.records.length < 5 && !world.records.some((r) => r.id === id)) {
        world.records = [...world.records, record(id, tape.pick(BINDINGS)!, world.nowMs)];
      }
      return;
    }
    case 13:
      world.records = world.records.map((r) =>
        r === wished && !r.retiring ? { ...r, retiring: true, retirement: { atMs: world.nowMs, why: "Person" } } : r,
      );
      return;
    case 18:
      // A retirement is taken back.
      world.records = world.records.map((r) =>
        r === wished && !r.doomed ? { ...r, retiring: false, retirement: undefined } : r,
      );
      return;
    case 14: {
      const bindings = tape.pick(BINDINGS)!;
      world.records = world.records.map((r) => (r === wished ? { ...r, bindings } : r));
      return;
    }
    case 15:
      world.end = world.end.map((p) => ({ ...p, position: p.position + BigInt(tape.choose(3)) }));
      return;
    case 16:
    case 17:
      // Nodes catch up; a gateway that may is given a lease again.
      node.position = world.end;
      world.renewLease(gateway);
      return;
    default:
      // Mostly nothing happens and what is broken is mended, or nothing would ever serve and there were nothing to lose.
      for (const n of world.nodes) Object.assign(n, { up: true, position: world.end });
      for (const s of world.services) Object.assign(s, { up: true, refuses: false });
      for (const g of world.gateways) {
        g.reachable = true;
        world.renewLease(g);
      }
  }
}

/** What must hold of a plan against the world that it was made from. */
function checkPlan(world: ModelWorld, observed: ObservedMesh, actions: readonly Action[]): void {
  const former = observed.table;
  for (const action of actions) {
    if (action.kind !== "publish") continue;
    const { table } = action;
    for (const snapshot of table.snapshots) {
      const wish = observed.snapshots.find((r) => r.id === snapshot.id);
      assert(wish !== undefined && !wish.retiring, "published a snapshot that nobody wishes for");
      for (const { service, version } of snapshot.bindings) {
        const before = former?.snapshots.find((s) => s.id === snapshot.id)?.bindings;
        if (before?.some((b) => b.version === version)) continue;
        const holders = world.gateways.filter((g) => g.leaseAlive);
        assert(holders.length > 0, "published a new tuple to nobody");
        for (const g of holders) {
          const isVerified = g.verified.some((v) => v.snapshot === snapshot.id && v.version === version);
          assert(isVerified, `${snapshot.id} ${service} came in unverified by ${g.name}`);
        }
        for (const { shard, placements } of table.shards) {
          const addresses = placements.flatMap((p) =>
            p.endpoints.flatMap((e) => (e.version === version ? [e.address] : [])),
          );
          const holds = world.services.some(
            (s) =>
              s.up &&
              addresses.includes(s.address) &&
              s.bound.some((b) => b.shard === shard && b.snapshot === snapshot.id),
          );
          assert(holds, `${snapshot.id} ${version} came in and shard ${shard} is not bound`);
        }
      }
    }
    for (const snapshot of former?.snapshots ?? []) {
      const wish = observed.snapshots.find((r) => r.id === snapshot.id);
      if (wish === undefined || wish.retiring) continue;
      for (const { service } of snapshot.bindings.filter((b) => wish.bindings.some((w) => w.service === b.service))) {
        const after = table.snapshots.find((s) => s.id === snapshot.id)?.bindings;
        assert(
          after?.some((b) => b.service === service),
          `${service} of ${snapshot.id} fell out of the table`,
        );
      }
    }
  }
}

function round(world: ModelWorld, tape: Tape | undefined): number {
  const observed = world.observe();
  const plan = planMesh(world.manifest, observed);
  assert.deepStrictEqual(planMesh(world.manifest, structuredClone(observed)), plan, "the same world, another plan");
  checkPlan(world, observed, plan.actions);
  const actions = [...plan.actions];
  while (actions.length > 0) {
    const [action] = actions.splice(tape === undefined ? 0 : tape.choose(actions.length), 1);
    // The world moves between plan and deed, and some deeds do not come to pass.
    if (tape !== undefined && tape.choose(6) === 0) disturb(world, tape);
    if (tape !== undefined && tape.choose(6) === 0) continue;
    try {
      world.execute(action!);
    } catch (error) {
      if (error instanceof assert.AssertionError) throw error;
    }
  }
  return plan.actions.length;
}

function heal(world: ModelWorld): void {
  for (const node of world.nodes) Object.assign(node, { up: true, position: world.end });
  for (const service of world.services) Object.assign(service, { up: true, refuses: false });
  for (const gateway of world.gateways) Object.assign(gateway, { reachable: true, queries: [] });
}

function settle(world: ModelWorld): void {
  for (let rounds = 0; rounds < 60; rounds += 1) {
    heal(world);
    for (const g of world.gateways) world.renewLease(g);
    if (round(world, undefined) > 0) continue;
    const inGrace = world.records.some((r) => r.retiring && !r.doomed);
    if (!inGrace) return;
    world.nowMs += GRACE_MS;
  }
  assert.fail(`does not settle:\n${renderPlan(planMesh(world.manifest, world.observe()))}`);
}

describe("the life of snapshots", () => {
  test("whatever happens, no promise breaks, and when it stops happening everything wished for serves", () => {
    const tape = fc.array(fc.nat(1000), { minLength: 100, maxLength: 1500, size: "max" });
    fc.assert(
      fc.property(fc.constantFrom(...MANIFESTS), tape, (manifest, numbers) => {
        const world = new ModelWorld(manifest, ["g1", "g2"]);
        const decisions = new Tape(numbers);
        while (!decisions.ended) {
          disturb(world, decisions);
          if (decisions.choose(4) > 0) round(world, decisions);
        }
        settle(world);
        const phases = planMesh(manifest, world.observe()).phases;
        assert.deepEqual(
          phases.filter(({ phase }) => phase !== "Serving"),
          [],
        );
        for (const gateway of world.gateways) assert.equal(gateway.table?.epoch, world.table?.epoch);
        for (const r of world.records) {
          const route = world.table?.snapshots.find((s) => s.id === r.id);
          const versions = (list: readonly { version: string }[]) => list.map((b) => b.version).sort();
          assert.deepEqual(versions(route?.bindings ?? []), versions(r.bindings));
        }
        const told = newestRetired(world.retirements.filter(({ id }) => !world.records.some((r) => r.id === id)));
        assert.deepEqual(
          world.table?.retired.map(({ id }) => id),
          told.map(({ id }) => id),
        );
        // Nothing is left of what is retired, and nothing bound that nobody wishes for.
        const alive = new Set(world.records.map((r) => r.id));
        for (const node of world.nodes)
          for (const id of node.frozen.keys()) assert(alive.has(id), `${id} was left behind`);
        for (const service of world.services) {
          for (const stamp of service.bound) {
            const wish = world.records.find((r) => r.id === stamp.snapshot);
            assert(
              wish?.bindings.some((b) => b.version === service.version),
              "something stayed bound for nobody",
            );
          }
        }
      }),
      // A failing run prints its seed; shrinking one takes minutes.
      { numRuns: 200, endOnFailure: true },
    );
  });

  test("the schedule keeps its newest and retires the others", () => {
    const world = new ModelWorld(withGrace(smallManifest([["a"], ["b"]], SCHEDULE), 0), ["g1"]);
    for (let tick = 0; tick < 12; tick += 1) {
      world.nowMs += 10_000;
      world.end = world.end.map((p) => ({ ...p, position: p.position + 1n }));
      settle(world);
    }
    const ids = world.records.map((r) => r.id);
    expect(ids).toEqual(["19700101t000150z", "19700101t000200z"]);
    expect(world.table?.latest.map((l) => l.snapshot)).toEqual(["19700101t000200z"]);
  });
});
