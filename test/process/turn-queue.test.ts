import { setImmediate as turn } from "node:timers/promises";
import { expect, test } from "vitest";
import { systemClock } from "../../src/process/clock.ts";
import { TurnQueue } from "../../src/process/turn-queue.ts";

/** A clock that stands still until it is told. */
function stoppedClock() {
  let now = 0;
  return { clock: { ...systemClock, monotonic: () => now }, pass: (ms: number) => (now += ms) };
}

test("where nothing else is ready, work is done at once", async () => {
  const { clock } = stoppedClock();
  const queue = new TurnQueue(clock);
  for (let i = 0; i < 3; i++) {
    let isDone = false;
    queue.enter(() => {
      isDone = true;
    });
    expect(isDone).toBe(true);
    await turn();
  }
});

test("each is done with all that follows of it before the next begins", async () => {
  const { clock } = stoppedClock();
  const queue = new TurnQueue(clock);
  const done: string[] = [];
  for (const name of ["a", "b", "c"]) {
    queue.enter(async () => {
      for (let step = 1; step <= 3; step++) {
        done.push(`${name}${step}`);
        await undefined;
      }
    });
  }
  await turn();
  expect(done).toEqual(["a1", "a2", "a3", "b1", "b2", "b3", "c1", "c2", "c3"]);
});

test("what enters while another is worked off comes last", async () => {
  const { clock } = stoppedClock();
  const queue = new TurnQueue(clock);
  const done: string[] = [];
  queue.enter(() => {
    done.push("a");
    queue.enter(() => done.push("c"));
  });
  queue.enter(() => done.push("b"));
  queue.enter(() => done.push("d"));
  await turn();
  expect(done).toEqual(["a", "c", "b", "d"]);
});

test("of work in one turn of the event loop there is eight milliseconds, and then sockets and timers have theirs", async () => {
  const { clock, pass } = stoppedClock();
  const queue = new TurnQueue(clock);
  const done: number[] = [];
  let look = turn();
  for (let i = 0; i < 7; i++) {
    queue.enter(() => {
      pass(4);
      done.push(i);
    });
  }
  const seen: number[] = [];
  while (done.length < 7) {
    await look;
    look = turn();
    seen.push(done.length);
  }
  expect(seen).toEqual([2, 4, 6, 7]);
});

test("work that waits for something holds up no other", async () => {
  const { clock } = stoppedClock();
  const queue = new TurnQueue(clock);
  const never = new Promise(() => {});
  queue.enter(() => void never.then(() => {}));
  let isDone = false;
  queue.enter(() => {
    isDone = true;
  });
  await turn();
  expect(isDone).toBe(true);
});
