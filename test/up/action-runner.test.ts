import { describe, expect, test } from "vitest";
import { Fault } from "../../src/fault/fault.ts";
import type { Action } from "../../src/lifecycle/action.ts";
import type { Clock } from "../../src/process/clock.ts";
import { ACTIONS_MAX, type ActionFailure, ActionRunner } from "../../src/up/drive/action-runner.ts";

const drop = (snapshot: string, node = "node-a"): Action => ({ kind: "drop", snapshot, node });
const tuple = { snapshot: "s", shard: 0, node: "node-a", version: "v", address: "127.0.0.1:1" };

function world() {
  const started: string[] = [];
  const failures: ActionFailure[] = [];
  const pending = new Map<string, { resolve: () => void; reject: (error: unknown) => void }>();
  let now = 0;
  const clock: Clock = { now: () => now, monotonic: () => now, after: () => () => {} };
  const runner = new ActionRunner({
    clock,
    execute: (action, signal) => {
      const name = `${action.kind} ${"snapshot" in action ? action.snapshot : ""}`;
      started.push(name);
      return new Promise<void>((resolve, reject) => {
        pending.set(name, { resolve, reject });
        signal.addEventListener("abort", () => reject(signal.reason));
      });
    },
    onFailure: (failure) => void failures.push(failure),
    onEnded: () => {},
  });
  const turn = () => new Promise(setImmediate);
  return {
    runner,
    started,
    failures,
    pass: (ms: number) => {
      now += ms;
    },
    end: async (name: string) => {
      pending.get(name)?.resolve();
      await turn();
    },
    fail: async (name: string, error: unknown) => {
      pending.get(name)?.reject(error);
      await turn();
    },
  };
}

describe("action runner", () => {
  test("an action that is under way is not started again by the next plan", async () => {
    const { runner, started, end } = world();
    runner.start([drop("a")]);
    runner.start([drop("a")]);
    expect(started).toEqual(["drop a"]);
    await end("drop a");
    runner.start([drop("a")]);
    expect(started).toEqual(["drop a", "drop a"]);
  });

  test("it tells what is under way, until it has ended or failed", async () => {
    const { runner, end, fail } = world();
    runner.start([drop("a"), drop("b"), drop("c")]);
    expect(runner.underWay()).toEqual([drop("a"), drop("b"), drop("c")]);
    await end("drop b");
    await fail("drop c", new Error("disk on fire"));
    expect(runner.underWay()).toEqual([drop("a")]);
  });

  test("bind and unbind of one tuple never run at the same time", async () => {
    const { runner, started, end } = world();
    runner.start([{ kind: "bind", ...tuple }]);
    runner.start([{ kind: "unbind", ...tuple }]);
    expect(started).toEqual(["bind s"]);
    await end("bind s");
    runner.start([{ kind: "unbind", ...tuple }]);
    expect(started).toEqual(["bind s", "unbind s"]);
  });

  test("what failed waits longer each time, and is told once while the reason is the same", async () => {
    const { runner, started, failures, fail, pass } = world();
    for (const pauseMs of [200, 400, 800]) {
      runner.start([drop("a")]);
      await fail("drop a", new Fault("store-locked", "drop a: locked"));
      runner.start([drop("a")]);
      const before = started.length;
      pass(pauseMs - 1);
      runner.start([drop("a")]);
      expect(started).toHaveLength(before);
      pass(1);
    }
    expect(failures).toHaveLength(1);
    expect(runner.failures()[0]?.fault.id).toBe("store-locked");
  });

  test("a failure is forgotten when nobody wants its action any more", async () => {
    const { runner, fail } = world();
    runner.start([drop("a")]);
    await fail("drop a", new Error("disk on fire"));
    expect(runner.failures()).toHaveLength(1);
    runner.start([]);
    expect(runner.failures()).toEqual([]);
  });

  test("no more than ACTIONS_MAX run at a time", async () => {
    const { runner, started } = world();
    runner.start(Array.from({ length: ACTIONS_MAX * 2 }, (_, i) => drop(`s${i}`)));
    expect(started).toHaveLength(ACTIONS_MAX);
  });

  test("stop cancels what runs, starts nothing more, and is no failure", async () => {
    const { runner, started, failures } = world();
    runner.start([drop("a")]);
    await runner.stop();
    runner.start([drop("b")]);
    expect(started).toEqual(["drop a"]);
    expect(failures).toEqual([]);
  });
});
