import { expect, test } from "vitest";
import { systemClock } from "../../src/process/clock.ts";
import { ObservationMemory, type ObserveParts, observeMesh } from "../../src/up/drive/observe-mesh.ts";

const at = (partition: number, position: bigint, topicId = "t-1") => ({
  topic: "flights",
  topicId,
  partition,
  position,
});

/** A mesh of two nodes that say they hold `positions`. */
function observing(memory: ObservationMemory, positions: readonly (readonly ReturnType<typeof at>[])[]) {
  const status = (shard: number) => ({ shard, position: { positions: positions[shard] }, frozen: [], alarm: "" });
  const parts = {
    clock: systemClock,
    store: { state: { snapshots: [], retired: [] }, published: { table: undefined, floors: [] } },
    children: {
      state: (name: string) => (name.startsWith("n") ? { kind: "ready", addresses: { address: name } } : undefined),
    },
    clients: {
      node: (name: string) => ({
        getNodeStatus: async () => ({ instance: name, shards: [status(Number(name.slice(1)))] }),
      }),
    },
    nodes: ["n0", "n1"],
    memory,
  };
  return observeMesh(parts as unknown as ObserveParts, [], [], []);
}

test("the furthest that a node ever said it holds is remembered, of the topic that is there now", async () => {
  const memory = new ObservationMemory();
  await observing(memory, [[at(0, 10n)], [at(0, 7n), at(1, 5n)]]);
  await observing(memory, [[at(0, 8n)], [at(1, 6n)]]);
  expect(memory.committed).toEqual([at(0, 10n), at(1, 6n)]);
  await observing(memory, [[at(0, 2n, "t-2")], []]);
  expect(memory.committed).toEqual([at(0, 2n, "t-2"), at(1, 6n)]);
});
