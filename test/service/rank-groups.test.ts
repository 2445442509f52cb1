import { create, type Message } from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  DelayService,
  DestinationSchema,
  Order,
  TopDestinationsRequestSchema,
} from "../../examples/flights/generated/flights/v1/delay_pb.ts";
import { BusiestRequestSchema, NetworkService } from "../../examples/flights/generated/flights/v1/network_pb.ts";
import { unsliced } from "../../src/accumulator/sliced-sort.ts";
import { compileMethod } from "../../src/merge-plan/compile-method.ts";
import type { MethodPlan } from "../../src/merge-plan/method-plan.ts";
import { requestWindow, rowsForWindow } from "../../src/merge-plan/request-window.ts";
import type { Fields } from "../../src/service/serve/part-field.ts";
import { type RankedGroups, rankGroups } from "../../src/service/serve/rank-groups.ts";

const PLAN = compileMethod(DelayService.method.topDestinations);

/** As the kit answers a call: all that the request's window may need. */
function rank(request: Message, groups: readonly unknown[], plan: MethodPlan = PLAN): RankedGroups {
  return unsliced(rankSlices(request, groups, plan));
}

function rankSlices(request: Message, groups: readonly unknown[], plan: MethodPlan = PLAN) {
  if (plan.merge.kind !== "message" || plan.merge.top === undefined) throw new Error("the method has no top groups");
  const wanted = rowsForWindow(requestWindow(plan, request)) ?? Number.POSITIVE_INFINITY;
  return rankGroups(plan, plan.merge.top, request, groups as readonly Fields[], wanted);
}

interface Group {
  readonly destination: string;
  readonly flights: bigint;
  readonly totalDelayMinutes: bigint;
}

const anyGroups = fc.uniqueArray(
  fc.record({
    destination: fc.string({ unit: "binary", maxLength: 3 }),
    flights: fc.bigInt({ min: 0n, max: 5n }),
    totalDelayMinutes: fc.oneof(
      fc.bigInt({ min: -20n, max: 20n }),
      fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
    ),
  }),
  { selector: (group) => group.destination, maxLength: 40 },
);
const orders = fc.constantFrom(Order.UNSPECIFIED, Order.FLIGHTS, Order.TOTAL_DELAY, Order.MEAN_DELAY);

/** The definition, as plainly as it can be said. */
function naive(
  groups: readonly Group[],
  order: Order,
): readonly { readonly group: Group; readonly value: number | bigint | undefined }[] {
  const value = (group: Group) => {
    if (order === Order.TOTAL_DELAY) return group.totalDelayMinutes;
    if (order !== Order.MEAN_DELAY) return group.flights;
    return group.flights === 0n ? undefined : Number(group.totalDelayMinutes) / Number(group.flights);
  };
  return groups
    .map((group) => ({ group, value: value(group) }))
    .sort((a, b) => {
      if (a.value !== b.value) {
        if (a.value === undefined) return 1;
        if (b.value === undefined) return -1;
        return a.value > b.value ? -1 : 1;
      }
      return Buffer.compare(Buffer.from(a.group.destination), Buffer.from(b.group.destination));
    });
}

function scalarValue(scalar: { readonly value: { readonly value?: unknown } } | undefined): unknown {
  return scalar?.value.value;
}

function request(init: { limit?: number; offset?: number; order?: Order; only?: string[] }): Message {
  return create(TopDestinationsRequestSchema, init);
}

describe("top groups of a shard", () => {
  test("are those of the definition, and the bounds bound what was not sent", () =>
    fc.assert(
      fc.property(
        anyGroups,
        orders,
        fc.integer({ min: 0, max: 12 }),
        fc.integer({ min: 0, max: 5 }),
        (groups, order, limit, offset) => {
          // Sums that a mean of doubles would round are left to roundRatio's own test.
          const means = order === Order.MEAN_DELAY;
          const given = means
            ? groups.map((g) => ({ ...g, totalDelayMinutes: BigInt.asIntN(50, g.totalDelayMinutes) }))
            : groups;
          const asked = request({ limit, offset, order });
          const ranked = rank(asked, given);
          const all = naive(given, order);
          const wanted = limit === 0 ? all.length : Math.min(all.length, limit + offset);
          expect(ranked.groups).toEqual(all.slice(0, wanted).map(({ group }) => group));

          const bounds = ranked.bounds;
          if (means && given.some((g) => g.flights === 0n && g.totalDelayMinutes !== 0n)) {
            expect(bounds).toBeUndefined();
            return;
          }
          expect(bounds?.groups).toBe(BigInt(groups.length));
          expect(bounds?.exhausted).toBe(wanted === all.length);
          expect(scalarValue(bounds?.kth)).toBe(all[wanted - 1]?.value);
          const valued = all.filter(({ value }) => value !== undefined);
          expect(scalarValue(bounds?.last)).toBe(valued.at(-1)?.value);
        },
      ),
      { numRuns: 300 },
    ));

  test("of messages are those of plain objects", () => {
    const plain = [
      { destination: "LAX", flights: 2n, totalDelayMinutes: -3n },
      { destination: "BOS", flights: 2n },
    ];
    const messages = plain.map((group) => create(DestinationSchema, group));
    for (const order of [Order.FLIGHTS, Order.TOTAL_DELAY, Order.MEAN_DELAY]) {
      const asked = request({ limit: 1, order });
      const [a, b] = [rank(asked, plain), rank(asked, messages)];
      expect(b.groups.map((group) => group.destination)).toEqual(a.groups.map((group) => group.destination));
      expect(b.bounds).toEqual(a.bounds);
    }
  });

  test("have no bounds by a mean when one has a sum over nothing: the rest of it, elsewhere, may be anything", () => {
    const groups = [
      { destination: "BOS", flights: 3n, totalDelayMinutes: 9n },
      { destination: "LAX", flights: 2n, totalDelayMinutes: 4n },
      { destination: "SFO", flights: 0n, totalDelayMinutes: 99n },
    ];
    expect(rank(request({ limit: 1, order: Order.MEAN_DELAY }), groups).bounds).toBeUndefined();
    expect(rank(request({ limit: 1, order: Order.FLIGHTS }), groups).bounds).toBeDefined();
  });

  test("chosen by key are exactly those, without bounds", () => {
    const groups = ["A", "B", "C"].map((destination, i) => ({ destination, flights: BigInt(i) }));
    const ranked = rank(request({ only: ["C", "A", "Z"] }), groups);
    expect(ranked.groups.map((group) => group.destination)).toEqual(["C", "A"]);
    expect(ranked.bounds).toBeUndefined();
  });

  test("of a method without an order field follow the annotation, ties by all parts of the key", () => {
    const busiest = compileMethod(NetworkService.method.busiest);
    const groups = [
      { origin: "B", destination: "A", flights: 1n },
      { origin: "A", destination: "C", flights: 1n },
      { origin: "A", destination: "B", flights: 1n },
      { origin: "Z", destination: "Z", flights: 2n },
    ];
    const ranked = rank(create(BusiestRequestSchema, { limit: 3 }), groups, busiest);
    expect(ranked.groups.map((group) => `${group.origin}${group.destination}`)).toEqual(["ZZ", "AB", "AC"]);
    expect(ranked.bounds).toMatchObject({ field: "flights", exhausted: false, groups: 4n });
  });

  test("a hundred thousand groups are ranked in slices, not in one go", () => {
    const groups = Array.from({ length: 100_000 }, (_, i) => ({
      destination: String((i * 7919) % 100_003),
      flights: BigInt((i * 31) % 997),
      totalDelayMinutes: 0n,
    }));
    expect([...rankSlices(request({}), groups)].length).toBeGreaterThan(100);
  });
});

describe("requests", () => {
  test("an order that is none and a negative limit or offset are refused, with where", () => {
    expect(() => rank(request({ order: 77 as Order }), [])).toThrow(
      expect.objectContaining({
        id: "invalid-request",
        detail: { errors: [expect.objectContaining({ pointer: "/order" })] },
      }),
    );
    expect(() => rank(request({ limit: -1 }), [])).toThrow("limit is -1");
    expect(() => rank(request({ offset: -1 }), [])).toThrow("offset is -1");
  });

  test("a window is all up to its end, however far that is", () => {
    const wanted = (init: { limit?: number; offset?: number }) => rowsForWindow(requestWindow(PLAN, request(init)));
    expect(wanted({ offset: 5 })).toBeUndefined();
    expect(wanted({ limit: 2_147_483_647, offset: 2_147_483_647 })).toBe(4_294_967_294);
  });
});
