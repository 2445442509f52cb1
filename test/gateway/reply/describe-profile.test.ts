import { create, toBinary } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { TopDestinationsResponseSchema } from "../../../examples/flights/generated/flights/v1/delay_pb.ts";
import { Fault } from "../../../src/fault/fault.ts";
import type { PreparedQuery } from "../../../src/gateway/query/prepared-query.ts";
import { QueryProfile } from "../../../src/gateway/query/query-profile.ts";
import { describeProfile } from "../../../src/gateway/reply/describe-profile.ts";
import { VirtualClock } from "../../process/virtual-clock.ts";

const message = toBinary(
  TopDestinationsResponseSchema,
  create(TopDestinationsResponseSchema, { destinations: [{ destination: "LAX" }, { destination: "SFO" }] }),
);

const query = {
  resolved: {
    plan: { method: { name: "TopDestinations", output: TopDestinationsResponseSchema } },
    snapshot: { id: "h1" },
    version: { name: "v2", service: "flights.v1.DelayService" },
    state: { epoch: 12n },
  },
  pruned: new Map([[7, "flights.origin is at most LAX; asked equal origin"]]),
  timings: new Map([
    ["resolve", 0.25],
    ["scatter", 9],
  ]),
} as unknown as PreparedQuery;

test("all that answers tell of their way is shown, and what they do not tell is absent", async () => {
  const clock = new VirtualClock();
  const profile = new QueryProfile(clock, TopDestinationsResponseSchema);
  await clock.run(1);
  const first = profile.visit(3);
  const second = profile.visit(0);
  const third = profile.visit(1);
  await clock.run(9);
  first.answered({
    message,
    transport: "stream",
    pod: "delay-0",
    callsInFrame: 12,
    timing: { queueUs: 500, serviceUs: 4_500 },
    call: { node: "b", wonBy: "hedge", attempts: 2, hedged: true, queuedMs: 0.5, tookMs: 7 },
  });
  await clock.run(10);
  first.merged();
  third.failed(new Fault("shard-unavailable", "away"));
  profile.beginRound(2);
  const again = profile.visit(0);
  again.cached();
  again.answered({ message, format: 1 });
  again.merged();
  second.answered({ message });
  second.merged();
  const { text, ...json } = describeProfile(query, profile);
  expect(json).toEqual({
    snapshot: { id: "h1", version: "v2", epoch: "12" },
    totals: {
      totalMs: 10,
      stepMs: { resolve: 0.25, scatter: 9 },
      rounds: 2,
      questions: 4,
      cached: 1,
      failed: 1,
      attempts: 2,
      hedged: 1,
      bytes: 3 * message.length,
    },
    shards: [
      { shard: 0, round: 1, cached: false, askedMs: 1, answerMs: 9, mergeMs: 0, bytes: message.length, groups: 2 },
      { shard: 1, round: 1, cached: false, askedMs: 1, bytes: 0, fault: "shard-unavailable" },
      {
        shard: 3,
        round: 1,
        node: "b",
        pod: "delay-0",
        transport: "stream",
        attempts: 2,
        hedged: true,
        wonBy: "hedge",
        cached: false,
        askedMs: 1,
        answerMs: 8,
        placementQueueMs: 0.5,
        serviceQueueMs: 0.5,
        serviceMs: 4.5,
        networkMs: 2,
        mergeMs: 1,
        bytes: message.length,
        groups: 2,
        callsInFrame: 12,
      },
      { shard: 0, round: 2, cached: true, askedMs: 10, answerMs: 0, mergeMs: 0, bytes: message.length },
    ],
    leftOut: [{ shard: 7, reason: "flights.origin is at most LAX; asked equal origin" }],
  });
  expect(`\n${text}\n`).toBe(`
flights.v1.DelayService/TopDestinations at snapshot h1, version v2, epoch 12
10 ms: resolve 0.25, scatter 9
4 questions in 2 rounds, 2 calls, 1 hedged, 1 from the cache, 1 failed, ${3 * message.length} bytes
shard 7 left out: flights.origin is at most LAX; asked equal origin

round 1
  shard  node  pod      by      tries  won by  answer ms  placement queue  service queue  service  network  merge  bytes  groups  calls a frame  fault
  0                                            9                                                            0      14     2
  1                                                                                                                0                             shard-unavailable
  3      b     delay-0  stream  2      hedge   8          0.5              0.5            4.5      2        1      14     2       12

round 2
  shard  cached  answer ms  merge  bytes
  0      yes     0          0      14
`);
});
