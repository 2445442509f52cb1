import { describe, expect, test } from "vitest";
import type { Clock } from "../../src/process/clock.ts";
import { lineLog } from "../../src/process/log-line.ts";
import { type ProcessEvents, type RunningProcess, runUntilSignal } from "../../src/process/run-until-signal.ts";

/** An outside that the test plays. */
function outside(supervised = false) {
  const signals: Record<string, () => void> = {};
  const exits: number[] = [];
  const timers: (() => void)[] = [];
  const told: string[] = [];
  let orphaned = () => {};
  const time = { ms: 0 };
  const events: ProcessEvents = {
    supervised,
    onSignal: (name, work) => {
      signals[name] = work;
    },
    onOrphaned: (work) => {
      orphaned = work;
    },
    exit: (code) => void exits.push(code),
  };
  const clock: Clock = {
    now: () => 0,
    monotonic: () => time.ms,
    after: (_ms, work) => {
      timers.push(work);
      return () => void timers.splice(timers.indexOf(work), 1);
    },
  };
  const log = lineLog({ write: (text) => void told.push(text), format: "human", clock });
  return {
    exits,
    time,
    timers,
    told,
    signal: (name: string) => signals[name]?.(),
    orphan: () => orphaned(),
    run: (start: (running: RunningProcess) => Promise<void>) =>
      runUntilSignal({ clock, log, events, stopGraceMs: 5_000 }, start),
  };
}

describe("run until signal", () => {
  test("parts are closed in reverse order, the next one after the former is closed", async () => {
    const world = outside();
    const order: string[] = [];
    const ended = world.run(async (running) => {
      running.opened("log", () => void order.push("log"));
      running.opened("server", async () => {
        await Promise.resolve();
        order.push("server");
      });
    });
    world.signal("SIGTERM");
    await ended;
    expect(order).toEqual(["server", "log"]);
  });

  test("a failed start closes what was opened and rejects with its reason", async () => {
    const world = outside();
    const order: string[] = [];
    const ended = world.run(async (running) => {
      running.opened("log", () => void order.push("log"));
      throw new Error("no port");
    });
    await expect(ended).rejects.toThrow("no port");
    expect(order).toEqual(["log"]);
  });

  test("a signal during the start is not an error", async () => {
    const world = outside();
    const ended = world.run(async (running) => {
      world.signal("SIGINT");
      running.signal.throwIfAborted();
    });
    await expect(ended).resolves.toBeUndefined();
  });

  test("a part that fails to close does not keep the others open", async () => {
    const world = outside();
    const order: string[] = [];
    const ended = world.run(async (running) => {
      running.opened("log", () => void order.push("log"));
      running.opened("server", () => {
        throw new Error("stuck socket");
      });
    });
    world.signal("SIGTERM");
    await ended;
    expect(order).toEqual(["log"]);
    expect(world.told.join("")).toContain("stop server: stuck socket");
  });

  test("a second signal exits at once, unless it is the echo of the first", async () => {
    const world = outside();
    let release = () => {};
    const ended = world.run(async (running) => {
      running.opened("server", () => new Promise((resolve) => (release = resolve)));
    });
    world.signal("SIGINT");
    await new Promise(setImmediate);
    world.time.ms += 20;
    world.signal("SIGINT");
    expect(world.exits).toEqual([]);
    world.time.ms += 1_000;
    world.signal("SIGINT");
    expect(world.exits).toEqual([130]);
    release();
    await ended;
  });

  test("a part that hangs ends the process after the grace, by name", async () => {
    const world = outside();
    let release = () => {};
    const ended = world.run(async (running) => {
      running.opened("node-a", () => new Promise((resolve) => (release = resolve)));
    });
    world.signal("SIGTERM");
    await new Promise(setImmediate);
    for (const timer of [...world.timers]) timer();
    expect(world.exits).toEqual([1]);
    expect(world.told.join("")).toContain("stop node-a: not done");
    release();
    await ended;
  });

  test("a supervised process ignores SIGINT and stops when its supervisor is gone", async () => {
    const world = outside(true);
    let stopped = false;
    const ended = world.run(async () => {}).then(() => (stopped = true));
    world.signal("SIGINT");
    await new Promise(setImmediate);
    expect(stopped).toBe(false);
    world.orphan();
    await ended;
    expect(stopped).toBe(true);
  });

  test("a part that fails while running ends the process by its error", async () => {
    const world = outside();
    const ended = world.run(async (running) => running.fail(new Error("fenced")));
    await expect(ended).rejects.toThrow("fenced");
  });
});
