import { getEventListeners } from "node:events";
import { expect, test } from "vitest";
import { Fault } from "../../../src/fault/fault.ts";
import { MemoryPool } from "../../../src/gateway/query/memory-pool.ts";
import { OpenQuery } from "../../../src/gateway/query/open-query.ts";
import type { PreparedQuery } from "../../../src/gateway/query/prepared-query.ts";
import { QueryRegister } from "../../../src/gateway/query/query-register.ts";
import { VirtualClock } from "../../process/virtual-clock.ts";

const GONE = new Fault("cancelled", "the client went away");

function opened(signal: AbortSignal) {
  const clock = new VirtualClock();
  const query = { id: "q", intent: { signal, quality: { kind: "strict" } }, deadline: clock.monotonic() + 1000 };
  const register = new QueryRegister(clock, 10, 100);
  return new OpenQuery(query as unknown as PreparedQuery, register, new MemoryPool(1000, 100), clock, 1);
}

test("a client that goes away stops its query, with its reason", () => {
  const client = new AbortController();
  const open = opened(client.signal);
  expect(open.signal.aborted).toBe(false);
  client.abort(GONE);
  expect(open.signal.reason).toBe(GONE);
  expect(() => open.throwIfStopped()).toThrow(GONE);
});

test("so does one that had gone before", () => {
  expect(opened(AbortSignal.abort(GONE)).signal.reason).toBe(GONE);
});

test("a query that has ended leaves nothing with a client that stays", () => {
  const client = new AbortController();
  const open = opened(client.signal);
  open.end();
  expect(getEventListeners(client.signal, "abort")).toEqual([]);
  client.abort(GONE);
  expect(open.signal.reason).not.toBe(GONE);
});
