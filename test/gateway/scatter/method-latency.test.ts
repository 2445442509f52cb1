import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { MethodLatency } from "../../../src/gateway/scatter/method-latency.ts";
import { SCATTER_POLICY } from "../../../src/gateway/scatter/scatter-policy.ts";
import { seeded } from "../../process/virtual-clock.ts";

const { hedge, replica } = SCATTER_POLICY;
const made = (policy = hedge) => new MethodLatency(0, policy, replica.halfLifeMs, 0);

describe("when a call is overdue", () => {
  test("after the method's quantile, at most a bucket too late and never too early", () => {
    const times = fc.array(fc.double({ min: 0.1, max: 150, noNaN: true }), { minLength: 64, maxLength: 64 });
    fc.assert(
      fc.property(times, (ms) => {
        const method = made();
        for (const one of ms) method.observe(one, 0);
        // The last of 64 is computed on the way, with at least three quarters of them.
        const sorted = [...ms].sort((a, b) => a - b);
        const delay = method.delayMs(false);
        expect(delay).toBeLessThanOrEqual(Math.max(hedge.delayMinMs, sorted.at(-1)! * 1.0906));
        expect(delay).toBeGreaterThanOrEqual(Math.min(sorted[Math.floor(48 * 0.95) - 1]!, hedge.delayMaxMs) * 0.999);
      }),
    );
  });

  test("later while the budget is scarce, never beyond the bound, and at the bound while little is known", () => {
    const random = seeded(3);
    const method = made();
    for (let i = 0; i < hedge.samplesMin - 1; i++) method.observe(5, 0);
    expect(method.delayMs(false)).toBe(hedge.delayMaxMs);
    for (let i = 0; i < 4_000; i++) method.observe(random.exponential(5), 0);
    expect(method.delayMs(false)).toBeGreaterThan(13);
    expect(method.delayMs(false)).toBeLessThan(17);
    expect(method.delayMs(true)).toBeGreaterThan(21);
    expect(method.delayMs(true)).toBeLessThan(27);
    for (let i = 0; i < 4_000; i++) method.observe(5_000, 0);
    expect(method.delayMs(false)).toBe(hedge.delayMaxMs);
  });

  test("what was measured long ago gives way to what is measured now", () => {
    const method = made();
    for (let i = 0; i < 1_000; i++) method.observe(100, 0);
    for (let i = 0; i < 100; i++) method.observe(1, replica.halfLifeMs * 8);
    expect(method.delayMs(false)).toBeLessThan(2);
    const forgotten = made();
    for (let i = 0; i < 100; i++) forgotten.observe(1, 0);
    forgotten.observe(1, replica.halfLifeMs * 20);
    expect(forgotten.delayMs(false)).toBe(hedge.delayMaxMs);
  });
});

test("most are slow after a query that is slow everywhere, not after one straggler, and no more when they are not", () => {
  const method = made();
  method.note(true);
  expect(method.isSlow).toBe(false);
  for (let i = 0; i < 16; i++) method.note(true);
  expect(method.isSlow).toBe(true);
  for (let i = 0; i < 16; i++) method.note(false);
  expect(method.isSlow).toBe(false);
});
