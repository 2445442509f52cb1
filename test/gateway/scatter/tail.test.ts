import { beforeAll, describe, expect, test } from "vitest";
import { SCATTER_POLICY } from "../../../src/gateway/scatter/scatter-policy.ts";
import { type Simulated, type SimulatedResult, simulateTail } from "./tail-simulation.ts";

/** Virtual time and seeds: the figures are the same on every machine. */
const LOAD = { queries: 4000, queriesPerSecond: 100, seed: 20260 };
const HEDGING_OFF = { ...SCATTER_POLICY, extra: { ...SCATTER_POLICY.extra, share: 0 } };

type ServiceMs = Simulated["serviceMs"];

const STALL_FREE: ServiceMs = (_call, _at, ordinaryMs) => ordinaryMs;
const FAULTS: readonly { readonly fault: string; readonly serviceMs: ServiceMs }[] = [
  {
    fault: "1 % of the calls stall 100 ms",
    serviceMs: (_call, _at, ordinaryMs, random) => ordinaryMs + (random.unit() < 0.01 ? 100 : 0),
  },
  {
    fault: "one placement is ten times as slow",
    serviceMs: ({ node }, _at, ordinaryMs) => ordinaryMs * (node === "a3" ? 10 : 1),
  },
  {
    fault: "one placement after the other stalls 300 ms of each second",
    serviceMs: ({ node }, at, ordinaryMs) => {
      const isStalled = node === `a${Math.floor(at / 1000) % 16}` && at % 1000 < 300;
      return ordinaryMs + (isStalled ? 300 - (at % 1000) : 0);
    },
  },
];

describe("the tail over sixteen shards with two placements each", () => {
  let stallFree: SimulatedResult;
  beforeAll(async () => {
    stallFree = await simulateTail({ ...LOAD, serviceMs: STALL_FREE, policy: HEDGING_OFF });
  });

  test.each(FAULTS)("$fault: p99 within 1.5×, p99.9 within 3×, extra calls within 5 %", async ({ serviceMs }) => {
    const result = await simulateTail({ ...LOAD, serviceMs });
    expect(result.faults).toBe(0);
    expect(result.p99).toBeLessThanOrEqual(1.5 * stallFree.p99);
    expect(result.p999).toBeLessThanOrEqual(3 * stallFree.p999);
    expect(result.extraShare).toBeLessThanOrEqual(0.05);
  });

  test.each(FAULTS.filter(({ fault }) => fault !== "one placement is ten times as slow"))(
    "$fault: without hedging the tail is that of the fault",
    async ({ serviceMs }) => {
      const result = await simulateTail({ ...LOAD, serviceMs, policy: HEDGING_OFF });
      expect(result.p999).toBeGreaterThan(1.5 * stallFree.p999);
    },
  );

  test("one placement is ten times as slow: the choice of replicas alone keeps the tail", async () => {
    const { serviceMs } = FAULTS[1]!;
    const result = await simulateTail({ ...LOAD, serviceMs, policy: HEDGING_OFF });
    expect(result.p99).toBeLessThanOrEqual(1.5 * stallFree.p99);
  });

  test("all placements ten times as slow for a second: hedging stops, since it would only add load", async () => {
    const isSlow = (at: number) => at > 10_000 && at < 11_000;
    let [slowCalls, queries] = [0, 0];
    const serviceMs: ServiceMs = ({ shard }, at, ordinaryMs) => {
      if (isSlow(at)) {
        slowCalls++;
        if (shard === 0) queries++;
      }
      return ordinaryMs * (isSlow(at) ? 10 : 1);
    };
    const result = await simulateTail({ ...LOAD, queries: 2000, serviceMs });
    expect(result.extraShare).toBeLessThanOrEqual(0.05);
    expect(slowCalls).toBeGreaterThan(16 * 50);
    // A burst at most before it is known.
    expect(slowCalls / (queries * 16)).toBeLessThan(1.05);
  });
});
