import assert from "node:assert";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Action } from "../../src/lifecycle/action.ts";
import type { Placement } from "../../src/lifecycle/placement.ts";
import { planMesh } from "../../src/lifecycle/plan-mesh.ts";
import { renderPlan } from "../../src/lifecycle/render-plan.ts";
import type { SnapshotRecord } from "../../src/lifecycle/snapshot-record.ts";
import type { Manifest } from "../../src/manifest/manifest.ts";
import { ModelWorld } from "./model-world.ts";
import { binding, DELAY, N1, NETWORK, smallManifest, V1, V2 } from "./small-manifest.ts";

function wish(id: string, createdAtMs: number): SnapshotRecord {
  const bindings = [binding(DELAY, createdAtMs % 2 === 0 ? V1 : V2), binding(NETWORK, N1)];
  const rest = { asOfMs: undefined, allowInexactAsOf: false, cut: undefined, pinned: false, retiring: false };
  return { ...rest, id, bindings, scheduled: false, createdAtMs };
}

const plan = (world: ModelWorld) => planMesh(world.manifest, world.observe());

/** Does what is planned, in a random order, leaving some of it out. */
function round(world: ModelWorld, choose: (n: number) => number, onDone: (action: Action) => void = () => {}): number {
  const actions = [...plan(world).actions];
  const planned = actions.length;
  while (actions.length > 0) {
    const [action] = actions.splice(choose(actions.length), 1);
    if (choose(6) === 1) continue;
    try {
      world.execute(action!);
      onDone(action!);
    } catch (error) {
      if (error instanceof assert.AssertionError) throw error;
    }
  }
  return planned;
}

function settle(world: ModelWorld): void {
  for (let rounds = 0; rounds < 80; rounds += 1) {
    for (const node of world.nodes) Object.assign(node, { up: true, position: world.end });
    for (const service of world.services) Object.assign(service, { up: true, refuses: false });
    for (const gateway of world.gateways) {
      Object.assign(gateway, { reachable: true, queries: [] });
      world.renewLease(gateway);
    }
    if (round(world, () => 0) === 0) return;
  }
  assert.fail(`does not settle:\n${renderPlan(plan(world))}`);
}

function assertServing(world: ModelWorld): void {
  const phases = plan(world).phases;
  assert.deepEqual(
    phases.filter(({ phase }) => phase !== "Serving"),
    [],
  );
}

const TAPE = fc.array(fc.nat(1000), { minLength: 100, maxLength: 900, size: "max" });

function chooser(numbers: readonly number[]) {
  let next = 0;
  return {
    ended: () => next >= numbers.length,
    choose: (n: number) => (numbers[next++] ?? 0) % n,
  };
}

/** What happens in both: records, snapshots, queries that begin and end, processes that restart. */
function disturb(world: ModelWorld, choose: (n: number) => number): void {
  world.nowMs += 1;
  const service = world.services[choose(world.services.length)]!;
  const gateway = world.gateways[choose(world.gateways.length)]!;
  switch (choose(10)) {
    case 0:
      Object.assign(service, { instance: service.instance + 1, bound: [], refused: [], address: world.newAddress() });
      return;
    case 1:
      world.end = world.end.map((p) => ({ ...p, position: p.position + BigInt(choose(3)) }));
      return;
    case 2:
      if (world.records.length < 4) world.records = [...world.records, wish(`s${world.nowMs}`, world.nowMs)];
      return;
    case 3: {
      const id = world.records[choose(4)]?.id;
      world.records = world.records.map((r) => (r.id === id ? { ...r, retiring: true } : r));
      return;
    }
    case 4: {
      const route = gateway.table?.snapshots[choose(3)];
      const version = route?.bindings[choose(2)]?.version;
      if (route !== undefined && version !== undefined)
        gateway.queries.push({ snapshot: route.id, version, table: gateway.table });
      return;
    }
    case 5:
      gateway.queries.shift();
      return;
    case 6:
      gateway.reachable = !gateway.reachable;
      return;
    default:
      for (const node of world.nodes) node.position = world.end;
      for (const g of world.gateways) {
        g.reachable = true;
        world.renewLease(g);
      }
  }
}

describe("replicas that differ", () => {
  test("none is sealed or routed to wrongly, and all are built anew and serve again", () => {
    let quarantines = 0;
    const property = fc.property(
      fc.constantFrom<Manifest>(
        smallManifest([
          ["a", "b"],
          ["b", "a"],
        ]),
        smallManifest([["a", "b", "c"], ["c"]]),
      ),
      TAPE,
      (manifest, numbers) => {
        const world = new ModelWorld(manifest, ["g1", "g2"]);
        const { choose, ended } = chooser(numbers);
        while (!ended()) {
          disturb(world, choose);
          const shard = 0;
          const nodes = manifest.mesh.placements[shard]!;
          const chosen = nodes[choose(nodes.length)];
          const node = world.nodes.find(({ name }) => name === chosen)!;
          // One at a time: against more than that there is only the log, which the last test is about.
          const isWhole = world.quarantined.length === 0 && !world.nodes.some(({ divergent }) => divergent.size > 0);
          if (choose(12) === 0 && isWhole) node.divergent.add(shard);
          round(world, choose, (action) => {
            if (action.kind === "quarantine") quarantines += 1;
          });
        }
        settle(world);
        // What nobody froze since it diverged is found out at the next snapshot.
        world.end = world.end.map((p) => ({ ...p, position: p.position + 1n }));
        world.records = [...world.records.filter(({ retiring }) => !retiring), wish("last", 1)];
        settle(world);
        assertServing(world);
        assert.deepEqual(world.quarantined, []);
        for (const { name, divergent } of world.nodes) assert.equal(divergent.size, 0, `${name} was never found out`);
      },
    );
    fc.assert(property, { numRuns: 100, endOnFailure: true });
    expect(quarantines).toBeGreaterThan(20);
  });

  test("of two, neither is trusted: both work it out from the log, and while they disagree nothing is sealed", () => {
    const world = new ModelWorld(smallManifest([["a", "b"]]), ["g1"]);
    world.nodes[1]!.divergent.add(0);
    world.records = [wish("s1", 1)];
    while (!plan(world).actions.some(({ kind }) => kind === "rederive")) round(world, () => 0);
    const [first, second] = plan(world).actions;
    expect([first, second]).toMatchObject([
      { kind: "rederive", node: "a" },
      { kind: "rederive", node: "b" },
    ]);
    world.execute(first!);
    expect(plan(world).actions).toMatchObject([{ kind: "rederive", node: "b" }]);
    world.execute(second!);
    const [right] = world.derived;
    world.derived = [right!, { ...world.derived[1]!, stateDigest: "something else" }];
    expect(plan(world).actions).toEqual([]);
    expect(renderPlan(plan(world))).toContain("comes to different states from one log");
    world.derived = [right!, { ...world.derived[1]!, stateDigest: right!.stateDigest }];
    expect(plan(world).actions).toMatchObject([{ kind: "quarantine", node: "b", expected: right!.stateDigest }]);
    world.execute(plan(world).actions[0]!);
    expect(plan(world).actions.map(({ kind }) => kind)).toEqual(["rebuild", "seal"]);
  });

  test("of three, what two of them have is right, and nothing is worked out", () => {
    const world = new ModelWorld(smallManifest([["a", "b", "c"]]), ["g1"]);
    world.nodes[2]!.divergent.add(0);
    world.records = [wish("s1", 1)];
    while (world.quarantined.length === 0)
      round(
        world,
        () => 0,
        ({ kind }) => expect(kind).not.toBe("rederive"),
      );
    expect(world.quarantined).toMatchObject([{ node: "c", rebuilt: false }]);
  });

  test("what an audit doubts is worked out anew; equal data are told of, and nothing is taken away", () => {
    const world = new ModelWorld(smallManifest([["a", "b"]]), ["g1"]);
    world.records = [wish("s1", 1)];
    settle(world);
    const doubted = { ...world.observe() };
    const differences = [{ shard: 0, snapshot: "s1", version: V2, nodes: ["a", "b"] }];
    const observe = () => ({
      ...doubted,
      derived: world.derived,
      gateways: doubted.gateways.map((g) => ({ ...g, status: g.status && { ...g.status, differences } })),
    });
    const planned = planMesh(world.manifest, observe()).actions;
    expect(planned.map(({ kind }) => kind)).toEqual(["rederive", "rederive"]);
    for (const action of planned) world.execute(action);
    const after = planMesh(world.manifest, observe());
    expect(after.actions).toEqual([]);
    expect(renderPlan(after)).toContain(`answer differently over equal data: ${V2} on a and b`);
  });
});

describe("shards that move", () => {
  const nodes = ["a", "b", "c"];

  test("whatever happens on the way, a shard is always served, and at the end it is where it is wished to be", () => {
    const property = fc.property(TAPE, (numbers) => {
      const world = new ModelWorld(smallManifest([["a"], ["b", "c"], ["c"]]), ["g1", "g2"]);
      const { choose, ended } = chooser(numbers);
      while (!ended()) {
        disturb(world, choose);
        if (choose(8) === 0) world.placements = moved(world.placements, choose(3), nodes[choose(3)]!, choose(2) === 0);
        round(world, choose);
      }
      settle(world);
      assertServing(world);
      for (const p of world.placements) assert.equal(p.phase, "Placed");
      for (const shard of [0, 1, 2]) {
        const on = world.placements.filter((p) => p.shard === shard).map(({ node }) => node);
        const routed = world.table?.shards.find((s) => s.shard === shard)?.placements.map(({ node }) => node);
        if ((world.table?.snapshots.length ?? 0) > 0) assert.deepEqual(routed?.toSorted(), on.toSorted());
      }
    });
    fc.assert(property, { numRuns: 100, endOnFailure: true });
  });
});

/** A wish as people may have it: the first that stays moves to another node, or a move is taken back. */
function moved(placements: readonly Placement[], shard: number, to: string, back: boolean): Placement[] {
  const here = placements.filter((p) => p.shard === shard);
  const isUnderWay = here.some(({ phase }) => phase !== "Placed");
  if (isUnderWay && back && here.some(({ phase }) => phase === "Leaving")) {
    const phases = { Leaving: "Placed", Joining: "Leaving", Placed: "Placed", Removing: "Removing" } as const;
    return placements.map((p) => (p.shard === shard ? { ...p, phase: phases[p.phase] } : p));
  }
  if (isUnderWay || here.some(({ node }) => node === to)) return [...placements];
  const from = here[0]!.node;
  const leaves = placements.map(
    (p): Placement => (p.shard === shard && p.node === from ? { ...p, phase: "Leaving" } : p),
  );
  return [...leaves, { shard, node: to, phase: "Joining" }];
}
