import { describe, expect, test } from "vitest";
import { MethodLatency } from "../../../src/gateway/scatter/method-latency.ts";
import { PlacementLoad, type Waiter } from "../../../src/gateway/scatter/placement-load.ts";
import { SCATTER_POLICY } from "../../../src/gateway/scatter/scatter-policy.ts";

const policy = SCATTER_POLICY.replica;
const method = new MethodLatency(0, SCATTER_POLICY.hedge, policy.halfLifeMs, 0);
const other = new MethodLatency(1, SCATTER_POLICY.hedge, policy.halfLifeMs, 0);
const made = (change: Partial<typeof policy> = {}) =>
  new PlacementLoad({ node: "a", address: "a:1" }, { ...policy, ...change });

function reply(placement: PlacementLoad, ms: number, at: number): void {
  placement.begin(at - ms);
  placement.replied(method, ms, at);
}
function fail(placement: PlacementLoad, at: number): void {
  placement.begin(at);
  placement.failed("unfit", at);
}

describe("what is known of latencies", () => {
  test("is kept by method, follows what is new, and is forgotten", () => {
    const placement = made();
    expect([placement.isKnown(1), placement.latencyMs(method, 1)]).toEqual([false, undefined]);
    reply(placement, 10, 100);
    expect(placement.latencyMs(method, 100)).toBe(10);
    expect(placement.latencyMs(other, 100)).toBeUndefined();
    for (let i = 0; i < 20; i++) reply(placement, 100, 101 + i);
    expect(placement.latencyMs(method, 121)).toBeGreaterThan(80);
    // After a while one call says as much as all before.
    reply(placement, 10, 121 + policy.halfLifeMs);
    expect(placement.latencyMs(method, 121 + policy.halfLifeMs)).toBeLessThan(60);
    const later = 121 + policy.halfLifeMs + policy.forgetMs;
    expect([placement.latencyMs(method, later), placement.isKnown(later)]).toEqual([undefined, false]);
  });

  test("counts what was given up as at least so long, and never as an improvement", () => {
    const placement = made();
    reply(placement, 50, 100);
    placement.begin(100);
    placement.givenUp(method, 5, 105);
    expect(placement.latencyMs(method, 105)).toBe(50);
    placement.begin(105);
    placement.givenUp(method, 450, 555);
    expect(placement.latencyMs(method, 555)).toBeGreaterThan(90);
  });

  test("while calls are under way, silence since the last reply", () => {
    const placement = made();
    expect(placement.silentMs(50)).toBe(0);
    placement.begin(100);
    placement.begin(150);
    expect(placement.silentMs(200)).toBe(100);
    placement.replied(method, 80, 230);
    expect(placement.silentMs(240)).toBe(10);
    placement.replied(method, 100, 250);
    expect(placement.silentMs(900)).toBe(0);
  });
});

describe("a placement that fails", () => {
  test("is left out after three faults in a row, for twice as long each time, and comes back as one that is not known", () => {
    const placement = made();
    reply(placement, 5, 10);
    for (const at of [20, 21]) fail(placement, at);
    expect(placement.ejectedUntil).toBeLessThan(22);
    fail(placement, 22);
    expect(placement.ejectedUntil).toBe(22 + policy.ejectMs);
    expect([placement.isKnown(23), placement.latencyMs(method, 23)]).toEqual([false, undefined]);
    for (const at of [2_000, 2_001, 2_002]) fail(placement, at);
    expect(placement.ejectedUntil).toBe(2_002 + 2 * policy.ejectMs);
    for (let at = 10_000; at < 10_020; at++) reply(placement, 5, at);
    for (const at of [20_000, 20_001, 20_002]) fail(placement, at);
    expect(placement.ejectedUntil).toBe(20_002 + policy.ejectMs);
  });

  test("never for longer than the bound", () => {
    const placement = made();
    let at = 0;
    for (let i = 0; i < 60; i++) {
      fail(placement, at);
      at = Math.max(at, placement.ejectedUntil) + 1;
      expect(placement.ejectedUntil - at).toBeLessThanOrEqual(policy.ejectMaxMs);
    }
  });

  test("now and then is not left out", () => {
    const placement = made();
    for (let at = 0; at < 1_000; at += 4) {
      fail(placement, at);
      for (const next of [1, 2, 3]) reply(placement, 5, at + next);
    }
    expect(placement.ejectedUntil).toBeLessThan(0);
  });

  test("by saying nothing is left out as well", () => {
    const placement = made();
    for (let i = 0; i < 3; i++) placement.begin(0);
    for (let i = 0; i < 3; i++) placement.givenUp(method, policy.silentMs, policy.silentMs);
    expect(placement.ejectedUntil).toBe(policy.silentMs + policy.ejectMs);
    const talking = made();
    for (let i = 0; i < 4; i++) talking.begin(0);
    talking.replied(method, 900, 900);
    for (let i = 0; i < 3; i++) talking.givenUp(method, policy.silentMs, policy.silentMs);
    expect(talking.ejectedUntil).toBeLessThan(0);
  });
});

describe("calls under way", () => {
  test("the limit falls once for an overload that many calls tell of, grows with replies, and stays in its bounds", () => {
    const placement = made();
    for (let i = 0; i < 200; i++) placement.begin(0);
    for (let i = 0; i < 50; i++) placement.failed("overload", 1);
    expect(placement.limit).toBe(140);
    for (let at = 200; at < 5_000; at += 200) {
      placement.begin(at);
      placement.failed("overload", at);
    }
    expect(placement.limit).toBe(policy.inFlightLimit.min);
    for (let i = 0; i < 500; i++) reply(placement, 5, 6_000 + i);
    expect(placement.limit).toBeGreaterThan(20);
  });

  test("room goes to those that wait, in their order, and not to those that have left", () => {
    const placement = made({ inFlightLimit: { start: 1, min: 1, max: 1 } });
    const letIn: number[] = [];
    const waiter = (number: number): Waiter => ({
      letIn(at) {
        letIn.push(number);
        at.begin(0);
      },
    });
    placement.begin(0);
    const all = [waiter(1), waiter(2), waiter(3)];
    for (const one of all) placement.wait(one);
    placement.leave(all[1]!);
    placement.replied(method, 1, 1);
    expect(letIn).toEqual([1]);
    placement.replied(method, 1, 2);
    expect(letIn).toEqual([1, 3]);
  });

  test("are lost together when several are within a moment, with no reply between", () => {
    const placement = made();
    expect([1, 2, 3, 4].map((at) => placement.isLostTogether(at))).toEqual([false, false, true, true]);
    expect(placement.isLostTogether(5_000)).toBe(false);
    reply(placement, 1, 5_001);
    expect([5_002, 5_003].map((at) => placement.isLostTogether(at))).toEqual([false, false]);
  });
});
