import { setImmediate as turn } from "node:timers/promises";
import type { Message } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { askRound } from "../../src/gateway/ask-round.ts";
import type { Partial as ShardPartial } from "../../src/gateway/merge/merge-execution.ts";
import type { MergeRun } from "../../src/gateway/merge-threads/merge-run.ts";
import type { Gathering } from "../../src/gateway/query/gathering.ts";
import { SCATTER_POLICY } from "../../src/gateway/scatter/scatter-policy.ts";
import { shardAsker } from "../../src/gateway/scatter/shard-asker.ts";
import type { ShardCall, ShardTransport } from "../../src/gateway/scatter/shard-transport.ts";
import { systemClock, systemRandomness } from "../../src/process/clock.ts";
import { PartialFormat } from "../../src/wire/generated/skynetes/v1/shard_pb.ts";
import { probeMessage, probeService } from "./probe-service.ts";

const { desc } = probeService();
const VERSION = "probe-v1-00000001";
const stampOf = ({ shard, snapshot }: ShardCall) => ({ shard, snapshot, stateDigest: "d", serviceVersion: VERSION });

/** Every shard answers well and at once. */
const transport: ShardTransport = {
  unary: async (call) => ({ stamp: stampOf(call), message: new Uint8Array(), bounds: undefined }),
  stream: () => Promise.reject(new Error("no stream here")),
  greet: () => Promise.resolve(undefined),
  keep() {},
  close() {},
};

function gathering(): Gathering {
  const plan = { method: desc.method.echo! };
  const endpoints = new Map([[VERSION, new Map([[0, [{ node: "a", address: "a:1" }]]])]]);
  const resolved = {
    plan,
    state: { endpoints },
    snapshot: { id: "s1", shardSeals: new Map([[0, { stateDigest: "d" }]]) },
    version: { name: VERSION, service: desc.typeName },
  };
  const open = {
    query: { resolved, intent: {} },
    signal: new AbortController().signal,
    shardDeadline: systemClock.monotonic() + 10_000,
    missing: new Map(),
    shardsAnswered() {},
    throwIfStopped() {},
    hold() {},
    release() {},
    giveUpShard(_shard: number, fault: Error) {
      throw fault;
    },
  };
  return open as unknown as Gathering;
}

function asking(transport: ShardTransport) {
  const asker = shardAsker({
    transport,
    clock: systemClock,
    randomness: systemRandomness,
    policy: SCATTER_POLICY,
    *comparable() {
      yield;
      return undefined;
    },
  });
  return { asker, groupBytesMax: 1_000 };
}

function recordingMerge(entered: ShardPartial[], acceptsColumns: boolean): MergeRun {
  const merge = {
    acceptsColumns,
    expect: () => {},
    async accept(partial: ShardPartial) {
      entered.push(partial);
    },
    exclude() {},
  };
  return merge as unknown as MergeRun;
}

const REQUEST = { shard: 0, request: probeMessage(desc, "EchoRequest", {}) as Message };

test("columns are asked for where the merge accepts them, and told apart from messages", async () => {
  const accepts: unknown[] = [];
  const columnar: ShardTransport = {
    ...transport,
    unary: async (call, signal) => {
      accepts.push(call.accept);
      return { ...(await transport.unary(call, signal)), format: PartialFormat.COLUMNS };
    },
  };
  const entered: ShardPartial[] = [];
  await askRound(asking(columnar), gathering(), recordingMerge(entered, true), [REQUEST], { bytes: 0 });
  expect(accepts).toEqual([PartialFormat.COLUMNS]);
  expect(entered.map(({ format }) => format)).toEqual(["columns"]);

  const unwanted = askRound(asking(columnar), gathering(), recordingMerge(entered, false), [REQUEST], { bytes: 0 });
  await expect(unwanted).rejects.toMatchObject({ id: "bad-partial", detail: { shard: 0 } });
  expect(accepts[1]).toBeUndefined();
  expect(entered.length).toBe(1);
});

test("a request that is in a round twice enters the merge once", async () => {
  const entered: ShardPartial[] = [];
  const merge = recordingMerge(entered, false);
  const round = (requests: readonly (typeof REQUEST)[]) =>
    askRound(asking(transport), gathering(), merge, requests, { bytes: 0 });
  await round([REQUEST]);
  expect(entered.length).toBe(1);
  await expect(round([REQUEST, REQUEST])).rejects.toThrow("a shard enters a merge once");
  expect(entered.length).toBe(2);
});

/** Two shards, of which the second answers when it is told to. */
function twoShards(bytes: number) {
  const second = Promise.withResolvers<void>();
  const held: ShardTransport = {
    ...transport,
    unary: async (call) => {
      if (call.shard === 1) await second.promise;
      return { stamp: stampOf(call), message: new Uint8Array(bytes), bounds: undefined };
    },
  };
  const open = gathering();
  const { state, snapshot } = open.query.resolved as unknown as {
    state: { endpoints: Map<string, Map<number, unknown>> };
    snapshot: { shardSeals: Map<number, unknown> };
  };
  state.endpoints.get(VERSION)?.set(1, [{ node: "b", address: "b:1" }]);
  snapshot.shardSeals.set(1, { stateDigest: "d" });
  return { held, open, answerSecond: second.resolve };
}

/** All that needs no more than the first shard's answer has run by then: it waits for promises and turns only. */
async function someTurns(): Promise<void> {
  for (let n = 0; n < 20; n++) await turn();
}

test.each([
  { what: "small partials wait for the others of their round", bytes: 100, before: [] },
  { what: "a large one does not", bytes: 64 * 1024, before: [0] },
])("$what", async ({ bytes, before }) => {
  const { held, open, answerSecond } = twoShards(bytes);
  const entered: ShardPartial[] = [];
  const requests = [REQUEST, { ...REQUEST, shard: 1 }];
  const parts = { ...asking(held), groupBytesMax: 1e6 };
  const round = askRound(parts, open, recordingMerge(entered, false), requests, { bytes: 0 });
  await someTurns();
  expect(entered.map(({ shard }) => shard)).toEqual(before);
  answerSecond();
  await round;
  expect(entered.map(({ shard }) => shard)).toEqual([0, 1]);
});
