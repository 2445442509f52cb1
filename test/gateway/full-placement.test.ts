/** Shards whose only placement has as many calls under way as it may, on a clock that the test moves. */
import { expect, test } from "vitest";
import { SCATTER_POLICY } from "../../src/gateway/scatter/scatter-policy.ts";
import { MemoryMesh, settled } from "./cache/memory-mesh.ts";
import { V1 } from "./scripted-mesh.ts";

const ROOM = SCATTER_POLICY.replica.inFlightLimit.start;

/** Shard 0 answers at once, shard 1 is full and says nothing. */
async function full(): Promise<MemoryMesh> {
  const limits = { queriesMax: 2 * ROOM, concurrencyInitial: 2 * ROOM };
  const mesh = await MemoryMesh.start({ snapshots: { s1: { version: V1, digests: ["a", "b"] } }, limits });
  mesh.respond = (asked) => {
    if (asked.call.shard === 0) asked.answer(1n);
  };
  for (let n = 0; n < ROOM; n++) void mesh.ask({ body: { text: `ahead ${n}` }, timeoutMs: 60_000 });
  await settled();
  expect(mesh.calls.filter(({ call }) => call.shard === 1).length).toBe(ROOM);
  return mesh;
}

test("who waits for room gives the shard up at its deadline, and has what others answered", async () => {
  const mesh = await full();
  const asked = mesh.ask({ body: { text: "mine" }, timeoutMs: 1_000, quality: { kind: "partial", min: 0 } });
  await settled();
  await mesh.clock.pass(1_000);
  const answer = await asked;
  answer.close();
  const { completeness } = answer;
  expect(completeness.complete).toBe(false);
  expect(completeness.missing).toMatchObject([{ shards: "1", reason: "DEADLINE_EXCEEDED" }]);
});

test("with all shards wanted, it is told so", async () => {
  const mesh = await full();
  const asked = mesh.ask({ body: { text: "mine" }, timeoutMs: 1_000 });
  await settled();
  await mesh.clock.pass(1_000);
  await expect(asked).rejects.toMatchObject({ id: "deadline-exceeded" });
});
