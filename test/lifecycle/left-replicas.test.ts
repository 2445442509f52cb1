import { describe, expect, test } from "vitest";
import type { ObservedMesh } from "../../src/lifecycle/observed-mesh.ts";
import { planMesh } from "../../src/lifecycle/plan-mesh.ts";
import { ModelWorld } from "./model-world.ts";
import { smallManifest, V1 } from "./small-manifest.ts";

/** Node a froze shard 0 of `old` after `old` was retired and forgotten. */
function leftOver(): ModelWorld {
  const world = new ModelWorld(smallManifest([["a"], ["b"]]), ["g1"]);
  world.nodes[0]!.frozen.set("old", new Map([[0, "digest"]]));
  return world;
}

const planOf = (world: ModelWorld, over: Partial<ObservedMesh>) => {
  const { actions, waiting } = planMesh(world.manifest, { ...world.observe(), ...over });
  return { drops: actions.filter(({ kind }) => kind === "drop"), told: waiting.map(({ reason }) => reason).join("\n") };
};

describe("what is left of a retired snapshot", () => {
  test("is dropped where it is found, and then nothing is told of it", () => {
    const world = leftOver();
    const { drops, told } = planOf(world, { retired: ["older", "old"] });
    expect(drops).toEqual([{ kind: "drop", snapshot: "old", node: "a" }]);
    expect(told).not.toMatch(/nobody wishes for it/);
    for (const drop of drops) world.execute(drop);
    expect(planOf(world, { retired: ["old"] })).toMatchObject({ drops: [], told: "" });
  });

  test("is shown when its id was never retired", () => {
    const { drops, told } = planOf(leftOver(), { retired: ["another"] });
    expect(drops).toEqual([]);
    expect(told).toMatch(/is in a, and nobody wishes for it/);
  });

  test("stays while an action on it runs or a process holds it", () => {
    const world = leftOver();
    const freeze = { kind: "freeze", snapshot: "old", shard: 1, node: "b", cut: [] } as const;
    expect(planOf(world, { retired: ["old"], underWay: [freeze] }).drops).toEqual([]);
    world.services[0]!.bound.push({ shard: 0, snapshot: "old", stateDigest: "digest", serviceVersion: V1 });
    expect(planOf(world, { retired: ["old"] }).drops).toEqual([]);
  });

  test("stays when the archive has a seal of that name: that is another snapshot's", () => {
    const world = leftOver();
    const seal = { snapshot: "old", sha256: "x", cut: world.end, fixedAtMs: 0, inexactTopics: [] };
    world.seals = [{ ...seal, stateDigests: ["digest", "other"] }];
    const { drops, told } = planOf(world, { retired: ["old"] });
    expect(drops).toEqual([]);
    expect(told).toMatch(/is in a, the archive/);
  });
});
