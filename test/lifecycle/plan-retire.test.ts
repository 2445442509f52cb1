import { expect, test } from "vitest";
import { planMesh } from "../../src/lifecycle/plan-mesh.ts";
import { ModelWorld } from "./model-world.ts";
import { binding, DELAY, smallManifest, V1 } from "./small-manifest.ts";

const SCHEDULE = { cron: "0 0 1 1 *", keep: 1, bindings: [binding(DELAY, V1)] };

/** Four scheduled snapshots that serve, the first the oldest. */
function fourServing(): ModelWorld {
  const world = new ModelWorld(smallManifest([["a"]], { ...SCHEDULE, keep: 4 }), ["g1"]);
  const rest = { asOfMs: undefined, allowInexactAsOf: false, cut: undefined, pinned: false, retiring: false };
  for (const createdAtMs of [1, 2, 3, 4]) {
    world.end = world.end.map((p) => ({ ...p, position: p.position + 1n }));
    for (const node of world.nodes) node.position = world.end;
    const record = { ...rest, id: `s${createdAtMs}`, bindings: SCHEDULE.bindings, scheduled: true, createdAtMs };
    world.records = [...world.records, record];
    for (let actions = planMesh(world.manifest, world.observe()).actions; actions.length > 0; ) {
      for (const action of actions) world.execute(action);
      actions = planMesh(world.manifest, world.observe()).actions;
    }
  }
  expect(world.table?.snapshots.map(({ id }) => id)).toEqual(["s1", "s2", "s3", "s4"]);
  return world;
}

const retired = (world: ModelWorld) =>
  planMesh(smallManifest([["a"]], SCHEDULE), world.observe()).actions.flatMap((action) =>
    action.kind === "retire" ? [action.snapshot] : [],
  );

test("a schedule keeps its newest, and what is pinned beside them", () => {
  const world = fourServing();
  expect(retired(world).sort()).toEqual(["s1", "s2", "s3"]);
  world.records = world.records.map((record) => (record.id === "s2" ? { ...record, pinned: true } : record));
  expect(retired(world).sort()).toEqual(["s1", "s3"]);
  world.records = world.records.map((record) => ({ ...record, pinned: false }));
  expect(retired(world)).toContain("s2");
});

test("a pinned snapshot takes no other's place among the kept", () => {
  const world = fourServing();
  world.records = world.records.map((record) => (record.id === "s4" ? { ...record, pinned: true } : record));
  expect(retired(world).sort()).toEqual(["s1", "s2"]);
});

test("none is kept longer than the schedule says, but for a pinned one and the one that latest means", () => {
  const world = fourServing();
  const retiredAt = (nowMs: number) =>
    planMesh(smallManifest([["a"]], { ...SCHEDULE, keep: 4, keepForMs: 100 }), { ...world.observe(), nowMs })
      .actions.flatMap((action) => (action.kind === "retire" ? [action.snapshot] : []))
      .sort();
  expect(retiredAt(101)).toEqual([]);
  expect(retiredAt(102)).toEqual(["s1"]);
  world.records = world.records.map((record) => (record.id === "s2" ? { ...record, pinned: true } : record));
  expect(retiredAt(1_000)).toEqual(["s1", "s3"]);
});
