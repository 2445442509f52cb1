import fc from "fast-check";
import { expect, test } from "vitest";
import { Fault } from "../../../src/fault/fault.ts";
import { askShard, openShardStream } from "../../../src/gateway/scatter/ask-shard.ts";
import { SCATTER_POLICY } from "../../../src/gateway/scatter/scatter-policy.ts";
import { type GivenCall, questionOf, ScriptedTransport, scriptedAsker, stampOf } from "./scripted-transport.ts";

/** How a call goes: when it ends, and how. */
const fate = fc.record({
  afterMs: fc.oneof(fc.integer({ min: 0, max: 30 }), fc.integer({ min: 30, max: 600 })),
  ends: fc.oneof(
    { weight: 8, arbitrary: fc.constant("reply" as const) },
    fc.constantFrom("lost", "silent", "wrong stamp", "invalid", "failed", "overloaded"),
  ),
});

const budget = fc.record({
  share: fc.constantFrom(0, 0.05, 0.1),
  burst: fc.integer({ min: 0, max: 6 }),
  perSecond: fc.constantFrom(0, 2),
});

const run = fc.record({
  fates: fc.array(fate, { minLength: 1, maxLength: 40 }),
  questions: fc.array(
    fc.record({
      afterMs: fc.integer({ min: 0, max: 40 }),
      shard: fc.integer({ min: 0, max: 2 }),
      replicaCount: fc.integer({ min: 1, max: 4 }),
      deadlineMs: fc.integer({ min: 1, max: 2_000 }),
      streams: fc.boolean(),
      deterministic: fc.boolean(),
      /** The client leaves. */
      leavesMs: fc.option(fc.integer({ min: 0, max: 500 })),
    }),
    { minLength: 1, maxLength: 60 },
  ),
  extra: budget.map((one) => ({ ...one, perSecond: 0 })),
  retry: budget,
  failover: budget,
  heedsCancel: fc.boolean(),
  limit: fc.constantFrom(1, 3, 256),
  delayMaxMs: fc.constantFrom(5, 50, 200),
});

const FAULTS = {
  lost: () => new Fault("shard-unavailable", "connection lost", { reason: "LOST" }),
  silent: () => new Fault("shard-unavailable", "stream is silent", { reason: "STREAM_SILENT" }),
  invalid: () => new Fault("invalid-request", "from is after to", { reason: "INVALID" }),
  failed: () => new Fault("shard-failed", "divided by zero", { reason: "FAILED" }),
  overloaded: () => new Fault("overloaded", "too much to do", { reason: "OVERLOADED" }),
};
const REASONS: readonly unknown[] = ["LOST", "STREAM_SILENT", "INVALID", "FAILED", "OVERLOADED", "STAMP_MISMATCH"];

test("whatever happens: one reply or fault for each question, and no more calls than the budgets allow", async () => {
  await fc.assert(
    fc.asyncProperty(run, async ({ fates, questions, heedsCancel, limit, delayMaxMs, ...budgets }) => {
      let n = 0;
      const replies = new Map<GivenCall, string>();
      const calls = new Map<string, GivenCall[]>();
      // Hedges less what was earned for them, and the least that it has been.
      const hedges = { balance: 0, least: 0 };
      const transport: ScriptedTransport = new ScriptedTransport((call) => {
        const own = calls.get(call.traceparent!) ?? [];
        if (own.some((one) => !one.isCancelled && !replies.has(one))) {
          // Beside one that is under way: a hedge, to a placement that this question has not asked.
          expect(own.map(({ node }) => node)).not.toContain(call.node);
          hedges.balance++;
          expect(hedges.balance - hedges.least).toBeLessThanOrEqual(budgets.extra.burst + 1e-6);
        }
        calls.set(call.traceparent!, [...own, call]);
        const { afterMs, ends } = fates[n++ % fates.length]!;
        bench.clock.after(Math.min(afterMs, call.timeoutMs), () => {
          replies.set(call, ends);
          if (afterMs >= call.timeoutMs) call.fail(new Fault("deadline-exceeded", "no time left", { reason: "LATE" }));
          else if (ends === "reply") call.reply();
          else if (ends === "wrong stamp") call.reply({ ...stampOf(call), stateDigest: "other" });
          else call.fail(FAULTS[ends]());
        });
      }, heedsCancel);
      const inFlightLimit = { start: limit, min: limit, max: limit };
      const bench = scriptedAsker(transport, {
        ...budgets,
        hedge: { ...SCATTER_POLICY.hedge, delayMaxMs },
        replica: { ...SCATTER_POLICY.replica, inFlightLimit },
      });
      const settled: { outcome: string; wonBy: string; reason: unknown }[] = [];
      const begin = ({
        shard,
        replicaCount,
        deadlineMs,
        streams,
        deterministic,
        leavesMs,
      }: (typeof questions)[number]) => {
        const question = questionOf(bench, {
          replicaCount,
          expected: { ...questionOf(bench).expected, shard },
          deadline: bench.clock.monotonic() + deadlineMs,
          // Tells the calls of this question from others.
          traceparent: String(settled.length),
          plan: { deterministic } as never,
        });
        const slot = { outcome: "", wonBy: "", reason: undefined as unknown };
        settled.push(slot);
        hedges.balance -= budgets.extra.share;
        hedges.least = Math.min(hedges.least, hedges.balance);
        const query = new AbortController();
        const asked = streams
          ? openShardStream(bench.asker, question, query.signal)
          : askShard(bench.asker, question, query.signal);
        asked.then(
          ({ call }) => {
            slot.outcome += "reply";
            slot.wonBy = call.wonBy;
          },
          (fault: Fault) => {
            slot.outcome += "fault";
            slot.reason = fault.detail.reason;
            expect(fault).toBeInstanceOf(Fault);
            if (fault.id === "cancelled" || fault.id === "deadline-exceeded") return;
            if (fault.id === "overloaded" && fault.detail.retryAfterMs !== undefined) return;
            expect(REASONS).toContain(fault.detail.reason);
          },
        );
        const leave = () => query.abort(new Fault("cancelled", "the client has gone"));
        bench.clock.after(Math.min(leavesMs ?? deadlineMs, deadlineMs), leave);
      };
      let at = 0;
      for (const question of questions) {
        at += question.afterMs;
        bench.clock.after(at, () => begin(question));
      }
      await bench.clock.run();

      for (const [number, { outcome }] of settled.entries()) {
        expect(outcome, `question ${number}`).toMatch(/^(reply|fault)$/);
        const own = calls.get(String(number)) ?? [];
        expect(own.length).toBeLessThanOrEqual(4);
        // Nothing is left under way: it has ended, or was cancelled.
        for (const call of own) expect(call.isCancelled || replies.has(call)).toBe(true);
        if (!questions[number]!.deterministic) {
          expect(own.length).toBeLessThanOrEqual(3);
        }
      }
      // What was spent beyond one call for each question came out of the budgets.
      const seconds = bench.clock.monotonic() / 1000;
      const most = [budgets.extra, budgets.retry, budgets.failover]
        .map(({ share, burst, perSecond }) => burst + share * questions.length + perSecond * seconds)
        .reduce((a, b) => a + b, 0);
      expect(transport.calls.length - calls.size).toBeLessThanOrEqual(most + 1e-6);
      expect(bench.asker.wheel.size).toBe(0);
      for (let shard = 0; shard < 3; shard++) {
        for (let replicaCount = 1; replicaCount <= 4; replicaCount++) {
          const { replicas } = questionOf(bench, { replicaCount, expected: { ...questionOf(bench).expected, shard } });
          for (const { inFlight } of bench.asker.book.replicas(replicas)) expect(inFlight).toBe(0);
        }
      }
    }),
    { numRuns: 100 },
  );
});
