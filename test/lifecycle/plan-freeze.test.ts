import { describe, expect, test } from "vitest";
import type { ObservedMesh, ObservedShard } from "../../src/lifecycle/observed-mesh.ts";
import { planMesh } from "../../src/lifecycle/plan-mesh.ts";
import { ModelWorld } from "./model-world.ts";
import { smallManifest } from "./small-manifest.ts";

const REST = { asOfMs: undefined, allowInexactAsOf: false, pinned: false, retiring: false, scheduled: false };

/** One shard on a and b, ten records each; `s` is cut at the tenth, and b is at the fourth. */
function lagging(): ModelWorld {
  const world = new ModelWorld(smallManifest([["a", "b"]]), ["g1"]);
  const at = (position: bigint) => world.end.map((p) => ({ ...p, position }));
  world.nodes[1]!.position = at(4n);
  world.end = world.nodes[0]!.position = at(10n);
  const cut = { positions: world.end, fixedAtMs: 0, inexactTopics: [] };
  world.records = [{ ...REST, id: "s", cut, bindings: [], createdAtMs: 0 }];
  return world;
}

/** The same, where b says something else of its shards. */
function withB(observed: ObservedMesh, over: Partial<ObservedShard>): ObservedMesh {
  const nodes = observed.nodes.map((node) =>
    node.name === "b" && node.status.kind === "up"
      ? { ...node, status: { ...node.status, shards: node.status.shards.map((shard) => ({ ...shard, ...over })) } }
      : node,
  );
  return { ...observed, nodes };
}

const kindsOf = (world: ModelWorld, observed = world.observe()) =>
  planMesh(world.manifest, observed).actions.map(({ kind }) => kind);

function freezeOnA(world: ModelWorld): void {
  for (const action of planMesh(world.manifest, world.observe()).actions) world.execute(action);
  expect(world.nodes[0]!.frozen.has("s")).toBe(true);
}

describe("a replica that lags", () => {
  test("is waited for: the snapshot is sealed when it has frozen the same", () => {
    const world = lagging();
    freezeOnA(world);
    expect(kindsOf(world)).toEqual([]);
    world.nodes[1]!.position = world.end;
    expect(kindsOf(world)).toEqual(["freeze"]);
    freezeOnA(world);
    expect(kindsOf(world)).toEqual(["seal"]);
  });

  test("is not waited for when its ingest has stopped, or its node is down", () => {
    const world = lagging();
    freezeOnA(world);
    expect(kindsOf(world, withB(world.observe(), { alarm: "data-corrupt: flights/0@5" }))).toEqual(["seal"]);
    world.nodes[1]!.up = false;
    expect(kindsOf(world)).toEqual(["seal"]);
  });
});

test("an alarm of a shard is told, though no snapshot waits for it", () => {
  const world = new ModelWorld(smallManifest([["a"], ["b"]]), ["g1"]);
  const { waiting } = planMesh(world.manifest, withB(world.observe(), { alarm: "data-corrupt: flights/1@5" }));
  expect(waiting).toContainEqual({ snapshot: undefined, reason: "shard 1 on b: data-corrupt: flights/1@5" });
});
