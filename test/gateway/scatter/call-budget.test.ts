import fc from "fast-check";
import { expect, test } from "vitest";
import { AskBudgets, CallBudget } from "../../../src/gateway/scatter/call-budget.ts";
import { SCATTER_POLICY } from "../../../src/gateway/scatter/scatter-policy.ts";
import { VirtualClock } from "../../process/virtual-clock.ts";

const steps = fc.array(
  fc.oneof(fc.constant("earn" as const), fc.constant("take" as const), fc.integer({ min: 1, max: 3_000 })),
  { maxLength: 300 },
);

test("over any stretch no more is taken than the burst and what was earned in it", async () => {
  await fc.assert(
    fc.asyncProperty(
      steps,
      fc.record({
        share: fc.double({ min: 0, max: 1, noNaN: true }),
        burst: fc.integer({ min: 0, max: 20 }),
        perSecond: fc.constantFrom(0, 0.5, 5),
      }),
      async (script, policy) => {
        const clock = new VirtualClock();
        const budget = new CallBudget(policy, clock);
        /** After each step: what has been taken, and what may have been earned. */
        const taken = [0];
        const earned = [0];
        for (const one of script) {
          let [nowTaken, nowEarned] = [taken.at(-1)!, earned.at(-1)!];
          if (one === "earn") {
            budget.earn();
            nowEarned += policy.share;
          } else if (one === "take") {
            if (budget.take()) nowTaken++;
          } else {
            await clock.run(clock.monotonic() + one);
            nowEarned += (policy.perSecond * one) / 1000;
          }
          taken.push(nowTaken);
          earned.push(nowEarned);
        }
        // The greatest of taken − earned between any two points, in one pass.
        let least = Number.POSITIVE_INFINITY;
        for (const [i, sum] of taken.entries()) {
          const balance = sum - earned[i]!;
          least = Math.min(least, balance);
          expect(balance - least).toBeLessThanOrEqual(policy.burst + 1e-6);
        }
      },
    ),
  );
});

test("is scarce below half, and full at the start", () => {
  const budget = new CallBudget({ share: 0.5, burst: 4, perSecond: 0 }, new VirtualClock());
  expect(budget.isScarce).toBe(false);
  expect([budget.take(), budget.take(), budget.isScarce, budget.take(), budget.isScarce]).toEqual([
    true,
    true,
    false,
    true,
    true,
  ]);
});

test("the three budgets do not draw on one another", () => {
  const budgets = new AskBudgets(SCATTER_POLICY, new VirtualClock());
  while (budgets.failover.take()) {
    // A dead stream takes all that there is for it.
  }
  expect([budgets.extra.take(), budgets.retry.take()]).toEqual([true, true]);
  for (let i = 0; i < 20; i++) budgets.earn();
  expect([budgets.failover.take(), budgets.failover.take(), budgets.failover.take()]).toEqual([true, true, false]);
});
