import fc from "fast-check";
import { expect, test } from "vitest";
import { OverdueWheel, type WheelEntry } from "../../../src/gateway/scatter/overdue-wheel.ts";
import { VirtualClock } from "../../process/virtual-clock.ts";

class Entry implements WheelEntry {
  slot = -1;
  place = -1;
  readonly told: string[] = [];
  actedAt: number | undefined;
  isOverdue(): void {
    this.told.push("overdue");
  }
  act(now: number): void {
    this.told.push("act");
    this.actedAt = now;
  }
}

test("each entry acts once, within a tick after its delay, unless it has left", async () => {
  const entry = fc.record({
    atMs: fc.double({ min: 0, max: 3_000, noNaN: true }),
    delayMs: fc.oneof(fc.double({ min: 0, max: 40, noNaN: true }), fc.double({ min: 0, max: 900, noNaN: true })),
    leavesAfterMs: fc.option(fc.double({ min: 0, max: 900, noNaN: true })),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(entry, { maxLength: 60 }), async (script) => {
      const clock = new VirtualClock();
      const wheel = new OverdueWheel(clock);
      const entries = script.map(({ atMs, delayMs, leavesAfterMs }) => {
        const one = new Entry();
        clock.after(atMs, () => wheel.enter(one, delayMs, clock.monotonic()));
        if (leavesAfterMs !== null) clock.after(atMs + leavesAfterMs, () => wheel.leave(one));
        return one;
      });
      await clock.run();
      expect(wheel.size).toBe(0);
      for (const [i, one] of entries.entries()) {
        const { atMs, delayMs, leavesAfterMs } = script[i]!;
        const due = atMs + delayMs;
        if (leavesAfterMs !== null && leavesAfterMs < delayMs) expect(one.told).toEqual([]);
        if (leavesAfterMs === null || leavesAfterMs > delayMs + 2) {
          expect(one.told).toEqual(["overdue", "act"]);
          expect(one.actedAt).toBeGreaterThanOrEqual(due - 1e-6);
          expect(one.actedAt).toBeLessThanOrEqual(due + 2);
        }
      }
    }),
  );
});

test("all that are due are told before one acts, so that each knows whether it is the only one", async () => {
  const clock = new VirtualClock();
  const wheel = new OverdueWheel(clock);
  const order: string[] = [];
  for (let i = 0; i < 3; i++) {
    const one = new Entry();
    one.isOverdue = () => void order.push("overdue");
    one.act = () => void order.push("act");
    wheel.enter(one, 10, 0);
  }
  await clock.run();
  expect(order).toEqual(["overdue", "overdue", "overdue", "act", "act", "act"]);
});

test("a process that was held up reads what has come before it calls anything overdue", async () => {
  const clock = new VirtualClock();
  const wheel = new OverdueWheel(clock);
  const [answered, straggler] = [new Entry(), new Entry()];
  wheel.enter(answered, 10, 0);
  wheel.enter(straggler, 10, 0);
  // The event loop is held for 200 ms: its timers come late, and its sockets are read after them.
  clock.hold(200);
  await clock.run(200);
  wheel.leave(answered);
  await clock.run();
  expect([answered.told, straggler.told]).toEqual([[], ["overdue", "act"]]);
});
