import assert from "node:assert";
import { expect, test } from "vitest";
import type { Action } from "../../src/lifecycle/action.ts";
import { planMesh } from "../../src/lifecycle/plan-mesh.ts";
import { ModelWorld } from "./model-world.ts";
import { binding, DELAY, smallManifest, V1, V2 } from "./small-manifest.ts";

function run(world: ModelWorld, withheld: readonly Action["kind"][] = []): void {
  for (let rounds = 0; rounds < 40; rounds += 1) {
    const all = planMesh(world.manifest, world.observe()).actions;
    const actions = all.filter((action) => !withheld.includes(action.kind));
    if (actions.length === 0) return;
    for (const action of actions) world.execute(action);
  }
  assert.fail("the plan never ends");
}

function bind(world: ModelWorld, version: typeof V1): void {
  world.records = world.records.map((record) => ({ ...record, bindings: [binding(DELAY, version)] }));
}

const routed = (world: ModelWorld) => world.table?.snapshots.flatMap((s) => s.bindings.map((b) => b.version));

/** `s` has been answered by version 1, by version 2, and by version 1 again. */
function movedThereAndBack(): ModelWorld {
  const world = new ModelWorld(smallManifest([["a"], ["b"]]), ["g1"]);
  const wish = { asOfMs: undefined, allowInexactAsOf: false, cut: undefined, pinned: false, retiring: false };
  world.records = [{ ...wish, id: "s", bindings: [], scheduled: false, createdAtMs: 0 }];
  for (const version of [V1, V2, V1]) {
    bind(world, version);
    run(world);
    expect(routed(world)).toEqual([version]);
  }
  return world;
}

test("the table says that a version speaks Converse, unless the manifest wants it called by unary gRPC", () => {
  const world = new ModelWorld(smallManifest([["a"]]), ["g1"]);
  const wish = { asOfMs: undefined, allowInexactAsOf: false, cut: undefined, pinned: false, retiring: false };
  world.records = [{ ...wish, id: "s", bindings: [binding(DELAY, V1)], scheduled: false, createdAtMs: 0 }];
  run(world);
  expect(world.table?.versions.map(({ name, converse }) => [name, converse])).toEqual([[V1, true]]);
  const epoch = world.table?.epoch ?? 0n;
  for (const version of world.manifest.versions) Object.assign(version, { transport: "unary" });
  run(world);
  expect(world.table?.versions.map(({ name, converse }) => [name, converse])).toEqual([[V1, false]]);
  expect(world.table?.epoch).toBe(epoch + 1n);
});

test("what was verified of a process says nothing of its next run, though at the same address", () => {
  const world = movedThereAndBack();
  for (const service of world.services.filter(({ version }) => version === V2)) {
    Object.assign(service, { instance: 2, bound: [] });
  }
  bind(world, V2);
  run(world, ["verify"]);
  expect(routed(world)).toEqual([V1]);
  run(world);
  expect(routed(world)).toEqual([V2]);
});
