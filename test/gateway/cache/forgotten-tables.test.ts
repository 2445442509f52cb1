import { expect, test } from "vitest";
import { KnownRequests } from "../../../src/gateway/cache/known-requests.ts";
import type { UnderstoodQuery } from "../../../src/gateway/query/prepared-query.ts";
import type { QueryIntent } from "../../../src/gateway/receive/query-intent.ts";
import type { RoutingState } from "../../../src/gateway/table/routing-state.ts";

const intent = (text: string) =>
  ({ target: { snapshot: "s1", service: "p.S", method: "M" }, body: { kind: "text", text } }) as unknown as QueryIntent;
const understood = (state: RoutingState) => ({ resolved: { state } }) as UnderstoodQuery;
const tables = [1n, 2n].map((epoch) => ({ epoch }) as RoutingState) as [RoutingState, RoutingState];

test("of requests under a former table nothing is kept: they would hold all of it in memory", () => {
  const known = new KnownRequests(1_000_000);
  const empty = known.counts;
  for (const text of ["a", "b", "c"]) known.understand(intent(text), tables[0], () => understood(tables[0]));
  expect(known.counts.entries).toBe(3);
  known.understand(intent("d"), tables[1], () => understood(tables[1]));
  expect(known.counts.entries).toBe(1);
  known.understand(intent("x".repeat(5_000)), tables[0], () => understood(tables[0]));
  expect(known.counts).toEqual(empty);
});

test("how many have lost their place is counted over all tables", () => {
  const known = new KnownRequests(60_000);
  const fill = (state: RoutingState) => {
    for (let n = 0; n < 100; n++) known.understand(intent(`${n}`), state, () => understood(state));
    return known.counts.evictions;
  };
  const before = fill(tables[0]);
  expect(before).toBeGreaterThan(0);
  expect(fill(tables[1])).toBe(2 * before);
});
