import { describe, expect, test } from "vitest";
import type { Clock } from "../../src/process/clock.ts";
import { BIND_TURN_MS, BindTurns } from "../../src/up/drive/bind-turns.ts";

const never = new AbortController().signal;
const settled = () => new Promise((resolve) => setImmediate(resolve));

/** A clock that stands until told. */
function manualClock() {
  let now = 0;
  const timers = new Map<() => void, number>();
  const clock: Clock = {
    now: () => now,
    monotonic: () => now,
    after(ms, work) {
      timers.set(work, now + ms);
      return () => void timers.delete(work);
    },
  };
  const pass = async (ms: number) => {
    now += ms;
    for (const [work, at] of timers) {
      if (at > now) continue;
      timers.delete(work);
      work();
    }
    await settled();
  };
  return { clock, pass, waiting: () => timers.size };
}

describe("turns of binds", () => {
  test("the next begins when one ends, and no timer is left behind", async () => {
    const { clock, waiting } = manualClock();
    const turns = new BindTurns(clock, 1);
    const begun: string[] = [];
    let end = () => {};
    const first = turns.run(never, () => {
      begun.push("a");
      return new Promise<void>((resolve) => {
        end = resolve;
      });
    });
    const second = turns.run(never, async () => void begun.push("b"));
    await settled();
    expect(begun).toEqual(["a"]);
    end();
    await Promise.all([first, second]);
    expect(begun).toEqual(["a", "b"]);
    expect(waiting()).toBe(0);
  });

  test("a bind that hangs lets the next begin after its turn, and still tells how it ends", async () => {
    const { clock, pass } = manualClock();
    const turns = new BindTurns(clock, 1);
    let fail = (_error: Error) => {};
    const hanging = turns.run(
      never,
      () =>
        new Promise<void>((_, reject) => {
          fail = reject;
        }),
    );
    let begun = false;
    const next = turns.run(never, async () => {
      begun = true;
    });
    await settled();
    await pass(BIND_TURN_MS - 1);
    expect(begun).toBe(false);
    await pass(1);
    await next;
    expect(begun).toBe(true);
    const failed = expect(hanging).rejects.toThrow("at last");
    fail(new Error("at last"));
    await failed;
  });
});
