import { describe, expect, test } from "vitest";
import { type ControlState, emptyControlState } from "../../src/up/control/control-state.ts";
import {
  cancelMove,
  forgetPlacement,
  moveShard,
  readmitReplica,
  releasePlacement,
  takePlacements,
} from "../../src/up/control/placement-wishes.ts";
import { manifestFixture } from "./mesh-fixture.ts";

const NODES = ["node-a", "node-b", "node-c"].map((name) => ({ name }));
const manifest = (first: readonly string[], nodes = NODES) =>
  manifestFixture({ nodes, shards: 2, placements: [first, ["node-b"]] });
const start = takePlacements(emptyControlState("flights", 2, 0), manifest(["node-a"]));
const at = (state: ControlState, shard = 0) =>
  state.placements.filter((p) => p.shard === shard).map(({ node, phase }) => `${node} ${phase}`);

describe("a shard moves", () => {
  const moving = moveShard(start, { shard: 0, from: "node-a", to: "node-c" }, manifest(["node-a"]));

  test("joining first, and placed when what it replaces is released", () => {
    expect(at(start)).toEqual(["node-a Placed"]);
    expect(at(moving)).toEqual(["node-c Joining", "node-a Leaving"]);
    const released = releasePlacement(moving, 0, "node-a");
    expect(at(released)).toEqual(["node-c Placed", "node-a Removing"]);
    expect(at(forgetPlacement(released, 0, "node-a"))).toEqual(["node-c Placed"]);
    expect(at(moving, 1)).toEqual(["node-b Placed"]);
  });

  test("and back: what had joined leaves, and what was leaving stays", () => {
    expect(at(cancelMove(moving, 0))).toEqual(["node-c Leaving", "node-a Placed"]);
    expect(() => cancelMove(start, 0)).toThrow("none is under way");
  });

  test("what was wished back while it was being removed stays", () => {
    const released = releasePlacement(moving, 0, "node-a");
    const back = moveShard(released, { shard: 0, from: "node-c", to: "node-a" }, manifest(["node-a"]));
    expect(at(back)).toEqual(["node-a Joining", "node-c Leaving"]);
    expect(at(forgetPlacement(back, 0, "node-a"))).toEqual(at(back));
  });

  test.each([
    [{ shard: 7, from: "node-a", to: "node-b" }, "there are shards 0 to 1"],
    [{ shard: 0, from: "node-b", to: "node-c" }, "it is on node-a"],
    [{ shard: 0, from: "node-a", to: "node-x" }, "the mesh has the nodes node-a, node-b, node-c"],
    [{ shard: 0, from: "node-a", to: "node-a" }, "node-a holds it already"],
  ])("%j is refused with the reason", (move, reason) => {
    expect(() => moveShard(start, move, manifest(["node-a"]))).toThrow(reason);
  });
});

describe("the manifest's placements", () => {
  test("that have changed are a move; a shard that was moved by hand stays while they have not", () => {
    const moved = moveShard(start, { shard: 0, from: "node-a", to: "node-c" }, manifest(["node-a"]));
    expect(at(takePlacements(moved, manifest(["node-a"])))).toEqual(at(moved));
    expect(at(takePlacements(start, manifest(["node-b"])))).toEqual(["node-b Joining", "node-a Leaving"]);
  });

  test("with one node more are a replica more", () => {
    expect(at(takePlacements(start, manifest(["node-a", "node-c"])))).toEqual(["node-a Placed", "node-c Placed"]);
  });

  test("cannot lack a node that still holds a shard: nobody could take over from it", () => {
    const without = manifest(["node-b"], NODES.slice(1));
    expect(() => takePlacements(start, without)).toThrow("it is still on node-a, which the manifest does not name");
  });
});

test("a replica that is readmitted is out of quarantine, and no other is", () => {
  const found = { snapshot: "s", stateDigest: "1", expected: "2", tables: [], sinceMs: 0, rebuilt: true };
  const quarantined = [
    { ...found, shard: 0, node: "node-a" },
    { ...found, shard: 1, node: "node-a" },
  ];
  expect(readmitReplica({ ...start, quarantined }, 0, "node-a").quarantined).toEqual([quarantined[1]]);
});
