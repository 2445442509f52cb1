import { describe, expect, test } from "vitest";
import { Fault } from "../../../src/fault/fault.ts";
import { askShard } from "../../../src/gateway/scatter/ask-shard.ts";
import { SCATTER_POLICY } from "../../../src/gateway/scatter/scatter-policy.ts";
import { shardAsker } from "../../../src/gateway/scatter/shard-asker.ts";
import type { ShardCall } from "../../../src/gateway/scatter/shard-transport.ts";
import type { LineLog } from "../../../src/process/log-line.ts";
import { nextTurn } from "../../../src/process/turn.ts";
import { type StepEvent, stepChannel } from "../../../src/telemetry/step-channel.ts";
import { PartialFormat } from "../../../src/wire/generated/skynetes/v1/shard_pb.ts";
import { seeded, VirtualClock } from "../../process/virtual-clock.ts";
import { type GivenCall, questionOf, ScriptedTransport, stampOf } from "./scripted-transport.ts";

const signal = new AbortController().signal;

/** Every answer is audited, unless changed. `partials`: what node a and b say. */
async function audited(
  partials: { readonly a: string; readonly b: string },
  change: { share?: number; bytesMax?: number; burst?: number; slices?: number } = {},
  answer: (call: GivenCall) => void = (call) => call.reply(),
  question: Parameters<typeof questionOf>[1] = {},
  format: (call: ShardCall) => PartialFormat = () => PartialFormat.UNSPECIFIED,
  sizeOf: (call: ShardCall) => number = () => 1,
) {
  const clock = new VirtualClock();
  /** Of the event loop, since the test began. */
  let turns = 0;
  const turnsAtSlices: number[] = [];
  const transport = new ScriptedTransport(answer);
  const lines: string[] = [];
  const log = { line: (_level, message) => void lines.push(message) } as LineLog;
  const asker = shardAsker({
    transport: {
      ...transport,
      greet: () => Promise.resolve(undefined),
      keep() {},
      close() {},
      stream: () => Promise.reject(new Error("no stream here")),
      unary: async (call, stop) => {
        const reply = await transport.unary(call, stop);
        const message = Buffer.from(partials[call.node as "a" | "b"].repeat(sizeOf(call)));
        return { ...reply, message, format: format(call) };
      },
    },
    clock,
    randomness: seeded(5),
    policy: {
      ...SCATTER_POLICY,
      extra: { share: 0, burst: change.burst ?? 4, perSecond: 0 },
      audit: { share: change.share ?? 1, underWayMax: 2, bytesMax: change.bytesMax ?? 100 },
    },
    *comparable(_plan, _asked, { message }) {
      const text = Buffer.from(message).toString();
      if (text === "unreadable") throw new Fault("bad-partial", "unreadable");
      for (let slice = 0; slice < (change.slices ?? 0); slice++) {
        // Each takes longer than the event loop may be held.
        clock.hold(5);
        turnsAtSlices.push(turns);
        yield;
      }
      return text === "stream" ? undefined : message;
    },
    log,
  });
  const events: StepEvent[] = [];
  const nothing = () => {};
  const asyncEnd = (event: StepEvent) => void (event.step === "replica audit" && events.push(event));
  let begun = 0;
  const start = (event: StepEvent) => void (event.step === "replica audit" && begun++);
  const subscription = { start, end: nothing, asyncStart: nothing, asyncEnd, error: nothing };
  stepChannel.subscribe(subscription);
  const bench = { clock, transport, asker };
  let turning = setImmediate(function turn() {
    turns++;
    turning = setImmediate(turn);
  });
  try {
    // At a share of 1 every other answer or so, at 2 each one.
    for (let i = 0; i < 4; i++) {
      await askShard(asker, questionOf(bench, question), signal);
      await clock.run(clock.monotonic() + 1);
      while (events.length < begun) await nextTurn();
    }
  } finally {
    clearImmediate(turning);
    stepChannel.unsubscribe(subscription);
  }
  const outcomes = events.map(({ facts }) => facts.outcome);
  return { lines, calls: transport.calls, outcomes, facts: events[0]?.facts, turnsAtSlices };
}

describe("the audit of replicas", () => {
  test("tells of two that differ, naming shard, snapshot, version and both placements", async () => {
    const { lines, outcomes, facts } = await audited({ a: "1", b: "2" });
    expect(outcomes.length).toBeGreaterThan(0);
    expect(new Set(outcomes)).toEqual(new Set(["different"]));
    expect(facts).toMatchObject({ shard: 0, snapshot: "s1", version: "v1", path: "/p.S/M" });
    expect(new Set([facts?.first, facts?.second])).toEqual(new Set(["a", "b"]));
    expect(lines[0]).toBe('replicas of shard 0 differ at snapshot "s1"');
  });

  test("compares messages: an answer that came in columns is asked for once more", async () => {
    const inColumns = (call: ShardCall) => call.accept ?? PartialFormat.UNSPECIFIED;
    const accept = { accept: PartialFormat.COLUMNS };
    const different = await audited({ a: "1", b: "2" }, {}, undefined, accept, inColumns);
    expect(new Set(different.outcomes)).toEqual(new Set(["different"]));
    const again = different.calls.filter((call) => call.accept === undefined);
    expect(again.length).toBe(2 * different.outcomes.length);
    expect(new Set(again.map(({ node }) => node))).toEqual(new Set(["a", "b"]));
    const equal = await audited({ a: "1", b: "1" }, {}, undefined, accept, inColumns);
    expect(new Set(equal.outcomes)).toEqual(new Set(["equal"]));
  });

  test("says nothing of two that agree, or that cannot be compared", async () => {
    const equal = await audited({ a: "1", b: "1" });
    expect(new Set(equal.outcomes)).toEqual(new Set(["equal"]));
    for (const b of ["unreadable", "stream"]) {
      const { outcomes, lines } = await audited({ a: "1", b });
      expect(new Set(outcomes)).toEqual(new Set(["not-comparable"]));
      expect(lines).toEqual([]);
    }
    expect(equal.lines).toEqual([]);
  });

  test.each([
    ["fails", (call: GivenCall) => call.fail(new Fault("shard-unavailable", "gone"))],
    ["is another state", (call: GivenCall) => call.reply({ ...stampOf(call), stateDigest: "other" })],
  ])("is no difference when the second replica %s", async (_name, second) => {
    // Questions have a trace here, audits have none.
    const answer = (call: GivenCall) => (call.traceparent === undefined ? second(call) : call.reply());
    const { outcomes, lines } = await audited({ a: "1", b: "2" }, {}, answer, { traceparent: "00-1" });
    expect(new Set(outcomes)).toEqual(new Set(["failed"]));
    expect(lines).toEqual([]);
  });

  test("takes no more than the budget, nothing at a share of 0, and leaves large partials alone", async () => {
    // Below half of the budget it is left to hedges.
    expect((await audited({ a: "1", b: "1" }, { share: 2, burst: 2 })).outcomes.length).toBe(2);
    expect((await audited({ a: "1", b: "1" }, { share: 2, burst: 4 })).outcomes.length).toBe(3);
    expect((await audited({ a: "1", b: "1" }, { share: 0 })).outcomes).toEqual([]);
    expect((await audited({ a: "x".repeat(101), b: "x".repeat(101) })).outcomes).toEqual([]);
  });

  test("leaves alone what is large only as a message, or only at the second placement", async () => {
    const inColumns = (call: ShardCall) => call.accept ?? PartialFormat.UNSPECIFIED;
    const accept = { accept: PartialFormat.COLUMNS };
    const whenMessage = (call: ShardCall) => (call.accept === undefined ? 101 : 100);
    const asMessage = await audited({ a: "1", b: "2" }, {}, undefined, accept, inColumns, whenMessage);
    expect(new Set(asMessage.outcomes)).toEqual(new Set(["not-comparable"]));
    // The second placement need not make another one.
    expect(asMessage.calls.length).toBe(4 + asMessage.outcomes.length);
    // Questions have a trace here, audits have none.
    const whenSecond = (call: ShardCall) => (call.traceparent === undefined ? 101 : 100);
    const question = { traceparent: "00-1" };
    const second = await audited({ a: "1", b: "2" }, {}, undefined, question, undefined, whenSecond);
    expect(new Set(second.outcomes)).toEqual(new Set(["not-comparable"]));
    const within = await audited({ a: "1", b: "2" }, {}, undefined, question, undefined, () => 100);
    expect(new Set(within.outcomes)).toEqual(new Set(["different"]));
  });

  test("lets the event loop turn while it compares", async () => {
    const { turnsAtSlices, outcomes } = await audited({ a: "1", b: "2" }, { slices: 3 });
    expect(new Set(outcomes)).toEqual(new Set(["different"]));
    expect(turnsAtSlices.length).toBe(6 * outcomes.length);
    expect(new Set(turnsAtSlices).size).toBe(turnsAtSlices.length);
  });

  test("leaves methods alone whose answers may differ, and shards with one placement", async () => {
    const differing = { plan: { deterministic: false } as never };
    expect((await audited({ a: "1", b: "2" }, {}, undefined, differing)).calls.length).toBe(4);
    expect((await audited({ a: "1", b: "2" }, {}, undefined, { replicaCount: 1 })).calls.length).toBe(4);
  });
});
