import { expect, test } from "vitest";
import { chooseReplica, ReplicaLoad } from "../../../src/gateway/scatter/replica-choice.ts";

const [a, b, c] = ["a", "b", "c"].map((node) => ({ node, address: `${node}:1` })) as [Endpoint, Endpoint, Endpoint];
type Endpoint = { node: string; address: string };

test("the replica with the fewest calls under way is asked", () => {
  const load = new ReplicaLoad();
  const done = load.begin(a);
  load.begin(b);
  load.begin(b);
  expect(chooseReplica([a, b], load, 7)).toBe(a);
  done();
  expect([load.of(a), load.of(b)]).toEqual([0, 2]);
});

test("equals take turns", () => {
  const load = new ReplicaLoad();
  const chosen = [0, 1, 2, 3].map((turn) => chooseReplica([a, b, c], load, turn));
  expect(chosen).toEqual([a, b, c, a]);
});

test("the one that failed is avoided while there is another, and asked again when there is none", () => {
  const load = new ReplicaLoad();
  load.begin(b);
  expect(chooseReplica([a, b], load, 0, a)).toBe(b);
  expect(chooseReplica([a], load, 0, a)).toBe(a);
  expect(chooseReplica([], load, 0)).toBeUndefined();
});

test("turns of one shard do not move with those of another", () => {
  const load = new ReplicaLoad();
  const turns = [0, 1, 0, 1].map((shard) => load.nextTurn(shard));
  expect(turns).toEqual([1, 1, 2, 2]);
});
