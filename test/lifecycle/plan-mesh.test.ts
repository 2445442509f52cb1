import assert from "node:assert";
import { describe, expect, test } from "vitest";
import type { Action } from "../../src/lifecycle/action.ts";
import { planMesh } from "../../src/lifecycle/plan-mesh.ts";
import { renderPlan } from "../../src/lifecycle/render-plan.ts";
import type { SnapshotRecord } from "../../src/lifecycle/snapshot-record.ts";
import type { BindingSpec } from "../../src/manifest/manifest.ts";
import { ModelWorld } from "./model-world.ts";
import { binding, DELAY, smallManifest, V1, V2 } from "./small-manifest.ts";

function wish(id: string, bindings: readonly BindingSpec[], createdAtMs = 0): SnapshotRecord {
  const rest = { asOfMs: undefined, allowInexactAsOf: false, cut: undefined, pinned: false, retiring: false };
  return { ...rest, id, bindings, scheduled: false, createdAtMs };
}

function change(world: ModelWorld, id: string, to: Partial<SnapshotRecord>): void {
  world.records = world.records.map((record) => (record.id === id ? { ...record, ...to } : record));
}

const plan = (world: ModelWorld) => planMesh(world.manifest, world.observe());
const kinds = (world: ModelWorld) => plan(world).actions.map((action) => action.kind);

/** Does what is planned until nothing is, or only kinds that are `withheld`. */
function run(world: ModelWorld, withheld: readonly Action["kind"][] = []): void {
  for (let rounds = 0; rounds < 40; rounds += 1) {
    const actions = plan(world).actions.filter((action) => !withheld.includes(action.kind));
    if (actions.length === 0) return;
    for (const action of actions) world.execute(action);
  }
  assert.fail(renderPlan(plan(world)));
}

/** One snapshot that serves with version 1, at offset 10 of every partition. */
function serving(placements: readonly (readonly string[])[] = [["a"], ["b"]]): ModelWorld {
  const world = new ModelWorld(smallManifest(placements), ["g1", "g2"]);
  grow(world, 10n);
  world.records = [wish("s1", [binding(DELAY, V1)])];
  run(world);
  return world;
}

function grow(world: ModelWorld, by: bigint): void {
  world.end = world.end.map((p) => ({ ...p, position: p.position + by }));
  for (const node of world.nodes) node.position = world.end;
}

const bindingsOf = (world: ModelWorld, id: string) =>
  world.table?.snapshots.find((s) => s.id === id)?.bindings.map((b) => b.version);

describe("a snapshot that is made", () => {
  test("goes cut, freeze, seal, bind, verify, serve, and then there is nothing to do", () => {
    const world = new ModelWorld(smallManifest([["a"], ["b"]]), ["g1"]);
    world.records = [wish("s1", [binding(DELAY, V1)])];
    const seen: string[] = [];
    for (let rounds = 0; rounds < 20; rounds += 1) {
      const { actions, phases } = plan(world);
      seen.push(`${phases[0]?.phase}: ${[...new Set(actions.map((a) => a.kind))].join(" ")}`.trimEnd());
      if (actions.length === 0) break;
      for (const action of actions) world.execute(action);
    }
    expect(seen).toEqual([
      "Cutting: cut",
      "Freezing: freeze",
      "Sealing: seal",
      "Binding: bind",
      "Verifying: verify",
      "Verifying: publish",
      "Serving: apply",
      "Serving:",
    ]);
  });

  test("is not sealed while a shard has not reached the cut", () => {
    const world = new ModelWorld(smallManifest([["a"], ["b"]]), ["g1"]);
    grow(world, 5n);
    world.nodes[1]!.position = world.end.map((p) => ({ ...p, position: 4n }));
    world.records = [wish("s1", [])];
    run(world);
    expect(world.seals).toEqual([]);
    expect(plan(world).phases[0]).toMatchObject({
      phase: "Freezing",
      message: /shard 1 on b is at .*@4.*the cut at .*@5/,
    });
  });

  test("is not sealed while replicas of a shard differ", () => {
    const world = new ModelWorld(smallManifest([["a", "b"]]), ["g1"]);
    world.records = [wish("s1", [])];
    run(world, ["seal"]);
    world.nodes[1]!.frozen.get("s1")?.set(0, "another");
    expect(kinds(world)).toEqual(["rederive", "rederive"]);
    const said = plan(world).waiting.map(({ reason }) => reason);
    expect(said).toContainEqual(expect.stringMatching(/replicas of shard 0 differ \(a .*, b another\)/));
  });

  test("is not bound where the replica differs from the seal", () => {
    const world = new ModelWorld(smallManifest([["a"]]), ["g1"]);
    world.records = [wish("s1", [binding(DELAY, V1)])];
    run(world, ["bind"]);
    world.nodes[0]!.frozen.get("s1")?.set(0, "another");
    expect(kinds(world)).toEqual(["quarantine"]);
  });

  test("takes the cut of the seal that the archive has under its id", () => {
    const world = serving();
    const sealed = world.records[0]?.cut;
    grow(world, 3n);
    change(world, "s1", { cut: undefined });
    expect(plan(world).actions[0]).toEqual({ kind: "adopt", snapshot: "s1", cut: sealed });
  });

  test("does not serve while no gateway is there to verify it", () => {
    const world = new ModelWorld(smallManifest([["a"], ["b"]]), []);
    world.records = [wish("s1", [binding(DELAY, V1)])];
    run(world);
    expect(world.table).toBeUndefined();
    expect(plan(world).phases[0]?.message).toMatch(/no gateway is there to verify/);
  });

  test("does not serve before each gateway with a lease has verified it; one without is not waited for", () => {
    const world = new ModelWorld(smallManifest([["a"], ["b"]]), ["g1", "g2"]);
    world.records = [wish("s1", [binding(DELAY, V1)])];
    world.gateways[1]!.reachable = false;
    run(world);
    expect(world.table).toBeUndefined();
    world.gateways[1]!.leaseAlive = false;
    run(world);
    expect(bindingsOf(world, "s1")).toEqual([V1]);
  });
});

describe("a binding that moves", () => {
  test("keeps the old version until the new one is verified", () => {
    const world = serving();
    change(world, "s1", { bindings: [binding(DELAY, V2)] });
    run(world, ["verify"]);
    expect(bindingsOf(world, "s1")).toEqual([V1]);
    run(world);
    expect(bindingsOf(world, "s1")).toEqual([V2]);
    const bound = world.services.filter((s) => s.bound.length > 0).map((s) => s.version);
    expect(bound).toEqual([V2, V2]);
  });

  test("leaves the old version bound until every lease holder has acknowledged the table", () => {
    const world = serving();
    change(world, "s1", { bindings: [binding(DELAY, V2)] });
    run(world, ["apply"]);
    expect(bindingsOf(world, "s1")).toEqual([V2]);
    expect(kinds(world)).toEqual(["apply", "apply"]);
    expect(plan(world).waiting[0]?.reason).toMatch(/stays bound: gateway g1 is at epoch 1, the table at 2/);
  });

  test("leaves the old version bound until the last query on it has ended", () => {
    const world = serving();
    change(world, "s1", { bindings: [binding(DELAY, V2)] });
    world.gateways[1]!.queries = [{ snapshot: "s1", version: V1, table: world.gateways[1]!.table }];
    run(world);
    expect(plan(world).waiting[0]?.reason).toMatch(/stays bound: gateway g2 has 1 queries on it/);
    world.gateways[1]!.queries = [];
    expect(kinds(world)).toEqual(["unbind", "unbind"]);
  });

  test("is over without a gateway that lost its lease, which gets none again while its query on the old version lasts", () => {
    const world = serving();
    const [g1] = world.gateways;
    g1!.queries = [{ snapshot: "s1", version: V1, table: g1!.table }];
    Object.assign(g1!, { reachable: false, leaseAlive: false });
    change(world, "s1", { bindings: [binding(DELAY, V2)] });
    run(world, ["unbind"]);
    const planned = plan(world).actions;
    expect(planned.map((action) => action.kind)).toEqual(["unbind", "unbind"]);

    // It is back between plan and deed.
    g1!.reachable = true;
    g1!.table = world.table;
    world.renewLease(g1!);
    expect(g1!.leaseAlive).toBe(false);
    for (const action of planned) world.execute(action);
    g1!.queries = [{ snapshot: "s1", version: V2, table: g1!.table }];
    world.renewLease(g1!);
    expect(g1!.leaseAlive).toBe(true);
  });

  test("to a version that the manifest does not have is told, and the old one stays", () => {
    const world = serving();
    change(world, "s1", { bindings: [{ service: DELAY, version: "delay-v9-00000009" as typeof V1 }] });
    expect(kinds(world)).toEqual([]);
    expect(plan(world).phases[0]).toMatchObject({
      phase: "Binding",
      message: expect.stringMatching(/delay-v9-00000009, which the manifest/),
    });
  });
});

describe("a process or node that fails", () => {
  test("a restarted process is bound again while the table stays", () => {
    const world = serving();
    const { table } = world;
    Object.assign(world.services[0]!, { instance: 2, bound: [] });
    expect(kinds(world)).toEqual(["bind"]);
    run(world);
    expect(world.table).toBe(table);
  });

  test("a process at a new address enters the table when it is verified there, and not before", () => {
    const world = serving();
    const former = world.services[0]!.address;
    Object.assign(world.services[0]!, { instance: 2, bound: [], address: "127.0.0.1:99" });
    const addresses = () => world.table?.shards[0]?.placements.flatMap((p) => p.endpoints.map((e) => e.address));
    run(world, ["verify"]);
    expect(addresses()).toEqual([former]);
    run(world);
    expect(addresses()).toEqual(["127.0.0.1:99"]);
  });

  test("one of two replicas leaves the table while it does not hold the snapshot, and comes back", () => {
    const world = serving([["a", "b"]]);
    const nodes = () => world.table?.shards[0]?.placements.filter((p) => p.endpoints.length > 0).map((p) => p.node);
    expect(nodes()).toEqual(["a", "b"]);
    Object.assign(world.services[0]!, { up: false, bound: [] });
    run(world);
    expect(nodes()).toEqual(["b"]);
    world.services[0]!.up = true;
    run(world);
    expect(nodes()).toEqual(["a", "b"]);
  });

  test("a process that serves something else under the version's name is not used", () => {
    const world = serving();
    const observed = world.observe();
    const services = observed.services.map((s) =>
      s.status.kind === "up" ? { ...s, status: { ...s.status, service: "other.v1.Service" } } : s,
    );
    const told = planMesh(world.manifest, { ...observed, services }).waiting.map((w) => w.reason);
    expect(told[0]).toMatch(/the process serves other.v1.Service/);
  });

  test("a node that lost a frozen snapshot freezes it again at the same cut", () => {
    const world = serving();
    const before = plan(world).actions;
    grow(world, 7n);
    world.nodes[0]!.frozen.clear();
    expect(before).toEqual([]);
    const [action] = plan(world).actions;
    expect(action).toMatchObject({ kind: "freeze", snapshot: "s1", shard: 0, node: "a" });
    expect(action?.kind === "freeze" && action.cut.map((p) => `${p.topic}/${p.partition}@${p.position}`)).toEqual([
      "airports/0@10",
      "flights/0@10",
    ]);
  });

  test("a gateway that started anew gets the table at once", () => {
    const world = serving();
    Object.assign(world.gateways[0]!, { instance: 2, table: undefined, verified: [] });
    expect(plan(world).actions).toEqual([{ kind: "apply", gateway: "g1", table: world.table }]);
  });

  test("a seal that is made anew is the one that the table names, and the snapshot serves throughout", () => {
    const world = serving();
    const [damaged] = world.seals;
    world.seals = [];
    expect(kinds(world)).toEqual(["seal"]);
    expect(world.table?.snapshots[0]?.sealSha256).toBe(damaged?.sha256);
    world.execute(plan(world).actions[0] as Action);
    world.seals = world.seals.map((seal) => ({ ...seal, sha256: "names other replicas" }));
    expect(kinds(world)).toEqual(["publish"]);
    run(world);
    expect(world.table?.snapshots.map((s) => [s.id, s.sealSha256])).toEqual([["s1", "names other replicas"]]);
    expect(bindingsOf(world, "s1")).toEqual([V1]);
  });

  test("a lost table is written again above every epoch that a gateway has seen", () => {
    const world = serving();
    for (const gateway of world.gateways) gateway.table = { ...gateway.table!, epoch: 41n };
    world.table = undefined;
    run(world);
    expect(world.observe().table?.epoch).toBe(42n);
  });
});

describe("retirement", () => {
  test("goes out of the table, waits for queries, then leaves nothing", () => {
    const world = serving();
    world.gateways[0]!.queries = [{ snapshot: "s1", version: V1, table: world.gateways[0]!.table }];
    change(world, "s1", { retiring: true });
    run(world);
    expect(world.table?.snapshots).toEqual([]);
    expect(plan(world).phases[0]).toMatchObject({
      phase: "Retiring",
      message: expect.stringMatching(/gateway g1 has 1 queries on it/),
    });
    world.gateways[0]!.queries = [];
    run(world);
    expect([world.records, world.seals, world.nodes.map((n) => n.frozen.size)]).toEqual([[], [], [0, 0]]);
  });

  test("waits for a node that is down and may still hold it", () => {
    const world = serving();
    world.nodes[1]!.up = false;
    change(world, "s1", { retiring: true });
    run(world);
    expect(world.seals).toHaveLength(1);
    expect(plan(world).phases[0]?.message).toMatch(/b is down and may still hold it/);
  });

  test("data that nobody wishes for is shown and not deleted", () => {
    const world = serving();
    world.records = [];
    run(world);
    expect(world.seals).toHaveLength(1);
    expect(plan(world).waiting).toEqual([
      { snapshot: "s1", reason: expect.stringMatching(/^is in a, b, the archive, and nobody wishes for it/) },
    ]);
  });
});

describe("actions of an earlier plan that still run", () => {
  test("what is being unbound does not come back into the table", () => {
    const world = serving();
    change(world, "s1", { bindings: [binding(DELAY, V2)] });
    run(world, ["unbind"]);
    const underWay = plan(world).actions;
    expect(underWay.map((action) => action.kind)).toEqual(["unbind", "unbind"]);
    change(world, "s1", { bindings: [binding(DELAY, V1)] });
    expect(kinds(world)).toEqual(["publish"]);
    const careful = planMesh(world.manifest, { ...world.observe(), underWay });
    expect(careful.actions.map((action) => action.kind)).not.toContain("publish");
  });

  test("what is being frozen is not forgotten", () => {
    const world = new ModelWorld(smallManifest([["a"]]), ["g1"]);
    world.records = [wish("s1", [])];
    run(world, ["freeze"]);
    const underWay = plan(world).actions;
    change(world, "s1", { retiring: true });
    change(world, "s1", { doomed: true });
    expect(kinds(world)).toContain("forget");
    const careful = planMesh(world.manifest, { ...world.observe(), underWay });
    expect(careful.actions.map((action) => action.kind)).not.toContain("forget");
  });
});

describe("latest", () => {
  test("moves to the greater cut and never back, even when that snapshot is retired", () => {
    const world = serving();
    grow(world, 5n);
    world.records = [...world.records, wish("s2", [binding(DELAY, V1)], 1)];
    run(world);
    expect(world.table?.latest.map((l) => l.snapshot)).toEqual(["s2"]);
    change(world, "s2", { retiring: true });
    run(world);
    expect(world.table?.snapshots.map((s) => s.id)).toEqual(["s1"]);
    expect(world.table?.latest).toEqual([]);
    world.records = [...world.records, wish("s3", [binding(DELAY, V1)], 2)];
    run(world);
    expect(world.table?.latest.map((l) => l.snapshot)).toEqual(["s3"]);
  });
});

test("a plan reads as text", () => {
  const world = serving();
  grow(world, 2n);
  world.records = [...world.records, wish("s2", [binding(DELAY, V1)], 1), wish("s3", [], 2)];
  for (const action of plan(world).actions.filter((a) => a.kind === "cut" && a.snapshot === "s2"))
    world.execute(action);
  world.services[0]!.up = false;
  expect(renderPlan(plan(world))).toMatchInlineSnapshot(`
    "snapshots
      s1  Serving    delay-v1-00000001 on a: exited
      s2  Freezing
      s3  Cutting
    now
      freeze s2 shard 0 on a at airports/0@12 flights/0@12
      freeze s2 shard 1 on b at airports/0@12 flights/1@12
      cut s3 as of now
    waiting
      s1: delay-v1-00000001 on a: exited
    "
  `);
});
