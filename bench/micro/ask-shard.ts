/**
 * `npm run bench -- ask-shard [calls]`: what the gateway spends on choosing, watching and vouching for one shard call,
 * above a transport that answers at once. Processor time of the process over the calls, sixteen shards with two placements
 * at a time, as a query asks them.
 */
import { askShard } from "../../src/gateway/scatter/ask-shard.ts";
import { SCATTER_POLICY } from "../../src/gateway/scatter/scatter-policy.ts";
import { shardAsker } from "../../src/gateway/scatter/shard-asker.ts";
import type { ShardQuestion } from "../../src/gateway/scatter/shard-question.ts";
import type { ShardCall, ShardTransport } from "../../src/gateway/scatter/shard-transport.ts";
import { systemClock, systemRandomness } from "../../src/process/clock.ts";
import { OwnNumbers } from "../../src/telemetry/own-numbers.ts";
import { StepMetrics } from "../../src/telemetry/step-metrics.ts";

const SHARDS = 16;
const reply = { message: new Uint8Array(100), bounds: undefined };

const transport: ShardTransport = {
  unary: (call: ShardCall) => Promise.resolve({ ...reply, stamp: stampOf(call.shard) }),
  stream: () => Promise.reject(new Error("no stream here")),
  greet: () => Promise.resolve(undefined),
  keep() {},
  close() {},
};
const stamps = Array.from({ length: SHARDS }, (_, shard) => ({
  shard,
  snapshot: "s1",
  stateDigest: "d",
  serviceVersion: "v1",
}));
const stampOf = (shard: number) => stamps[shard];

export async function run(options: readonly string[]) {
  const calls = Number(options[0] ?? 400_000);
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
  const replicas = Array.from({ length: SHARDS }, (_, shard) =>
    ["a", "b"].map((n) => ({ node: n, address: `${n}:${shard}` })),
  );
  const round = async () => {
    const query = new AbortController();
    const deadline = systemClock.monotonic() + 1000;
    const asked: Promise<unknown>[] = [];
    for (let shard = 0; shard < SHARDS; shard++) {
      const question: ShardQuestion = {
        expected: stamps[shard]!,
        replicas: replicas[shard]!,
        path: "/p.S/M",
        converse: true,
        request: reply.message,
        deadline,
        traceparent: undefined,
        plan: { deterministic: true } as never,
        asked: undefined as never,
      };
      asked.push(askShard(asker, question, query.signal));
    }
    await Promise.all(asked);
  };
  const measure = async () => {
    for (let i = 0; i < 2000; i++) await round();
    const results: number[] = [];
    for (let r = 0; r < 5; r++) {
      const before = process.cpuUsage();
      const rounds = calls / SHARDS / 5;
      for (let i = 0; i < rounds; i++) await round();
      const used = process.cpuUsage(before);
      results.push((used.user + used.system) / (rounds * SHARDS));
    }
    return results.sort((a, b) => a - b)[2]!;
  };
  const bare = await measure();
  const stop = new StepMetrics(new OwnNumbers("bench", () => Date.now()), () => performance.now()).follow();
  const counted = await measure();
  stop();
  return { rows: [{ what: "askShard", cpuUsPerCall: bare, withMetricsUs: counted }] };
}
