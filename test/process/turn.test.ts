import { expect, test } from "vitest";
import type { Clock } from "../../src/process/clock.ts";
import { inSlices } from "../../src/process/turn.ts";

/** A clock that moves a step each time it is read. */
function tickingClock(ms: number): Clock {
  let now = 0;
  return {
    now: () => now,
    monotonic() {
      now += ms;
      return now;
    },
    after: () => () => undefined,
  };
}

function* counted(slices: number) {
  for (let i = 0; i < slices; i++) yield;
  return slices;
}

test("slow slices let the event loop turn between two of them, quick ones run on", async () => {
  const turnsWhile = async (clock: Clock) => {
    let turns = 0;
    let isDone = false;
    const turning = () => {
      turns += 1;
      if (!isDone) setImmediate(turning);
    };
    setImmediate(turning);
    expect(await inSlices(counted(50), clock)).toBe(50);
    isDone = true;
    return turns;
  };
  expect(await turnsWhile(tickingClock(2))).toBeGreaterThanOrEqual(49);
  expect(await turnsWhile(tickingClock(0))).toBeLessThan(3);
});

test("work that is done before a turn is due needs no promise", () => {
  expect(inSlices(counted(50), tickingClock(0))).toBe(50);
  expect(inSlices(counted(50), tickingClock(2))).toBeInstanceOf(Promise);
});

test("work that nobody wants any more stops at its next turn", async () => {
  const abort = new AbortController();
  let slices = 0;
  function* endless() {
    for (;;) {
      slices += 1;
      if (slices === 5) abort.abort(new Error("no longer wanted"));
      yield;
    }
  }
  await expect(inSlices(endless(), tickingClock(2), abort.signal)).rejects.toThrow("no longer wanted");
  expect(slices).toBe(5);
});
