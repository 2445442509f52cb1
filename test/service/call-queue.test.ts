import { expect, test } from "vitest";
import { CallDeadlines } from "../../src/service/serve/converse/call-deadlines.ts";
import { CallQueue } from "../../src/service/serve/converse/call-queue.ts";
import { UnsentBytes } from "../../src/service/serve/converse/unsent-bytes.ts";
import { ManualClock } from "../wire/converse/manual-clock.ts";

test("calls begin at once until their turn has taken a millisecond; the others wait for the next, in order", () => {
  const clock = new ManualClock();
  let turns: (() => void)[] = [];
  const queue = new CallQueue(clock, (work) => turns.push(work));
  const endTurn = () => {
    const ended = turns;
    turns = [];
    for (const work of ended) work();
  };
  const begun: number[] = [];
  const push = (id: number, ms: number) => {
    queue.push(() => {
      begun.push(id);
      clock.advance(ms);
    });
  };
  for (let id = 1; id <= 4; id++) push(id, 0.4);
  // The third was begun before the millisecond was over.
  expect(begun).toEqual([1, 2, 3]);
  push(5, 3);
  push(6, 0);
  endTurn();
  expect(begun).toEqual([1, 2, 3, 4, 5]);
  endTurn();
  expect(begun).toEqual([1, 2, 3, 4, 5, 6]);
  endTurn();
  // Nothing waits, and nothing is scheduled for it.
  expect(turns).toEqual([]);
  push(7, 0);
  expect(begun.at(-1)).toBe(7);
});

test("deadlines pass in their order, with one timer for all", () => {
  const clock = new ManualClock();
  const expired: [number, number][] = [];
  const deadlines = new CallDeadlines(clock, (id) => expired.push([id, clock.monotonic()]));
  deadlines.add(1, 500);
  deadlines.add(2, 100);
  deadlines.add(3, 100);
  deadlines.add(4, 300);
  deadlines.remove(4);
  // Far beyond what a timer takes.
  deadlines.add(5, 2 ** 53);
  expect(clock.timers).toBe(1);
  clock.advance(99);
  expect(expired).toEqual([]);
  clock.advance(1);
  expect(expired).toEqual([
    [2, 100],
    [3, 100],
  ]);
  clock.advance(10_000_000);
  expect(expired.slice(2)).toEqual([[1, 500]]);
  expect(clock.timers).toBe(1);
  deadlines.stop();
  expect(clock.timers).toBe(0);
});

test("a stream has half of the memory for partials; one that is full is not asked again before half is taken", () => {
  const whole = new UnsentBytes(1000);
  const [one, two] = [whole.share(), whole.share()];
  one.add(400);
  one.assertRoom(100);
  expect(() => one.assertRoom(101)).toThrow(/400 bytes/);
  expect(() => one.assertTaken()).toThrow();
  two.assertTaken();
  two.assertRoom(500);
  one.add(-149);
  expect(() => one.assertTaken()).toThrow();
  one.add(-1);
  one.assertTaken();
  // The whole is bounded too.
  one.add(250);
  two.add(450);
  expect(() => two.assertRoom(60)).toThrow();
  const third = whole.share();
  expect(() => third.assertRoom(60)).toThrow();
  // One alone is never too large.
  one.add(-500);
  two.add(-450);
  third.assertRoom(1_000_000);
});
