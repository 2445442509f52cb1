import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  DelayService,
  type DestinationSchema,
  Order,
  TopDestinationsRequestSchema,
  TopDestinationsResponseSchema,
} from "../../../examples/flights/generated/flights/v1/delay_pb.ts";
import { SLICE, unsliced } from "../../../src/accumulator/sliced-sort.ts";
import { comparablePartial } from "../../../src/gateway/merge/comparable-partial.ts";
import { compileMethod } from "../../../src/merge-plan/compile-method.ts";
import { TopBoundsSchema } from "../../../src/wire/generated/skynetes/v1/stamp_pb.ts";

const TOP = compileMethod(DelayService.method.topDestinations);
const SEARCH = compileMethod(DelayService.method.search);
type Group = MessageInitShape<typeof DestinationSchema>;

function bytesOf(groups: readonly Group[], limit: number, exhausted?: boolean): string {
  const message = toBinary(
    TopDestinationsResponseSchema,
    create(TopDestinationsResponseSchema, { destinations: [...groups] }),
  );
  const bounds =
    exhausted === undefined ? undefined : toBinary(TopBoundsSchema, create(TopBoundsSchema, { exhausted }));
  const asked = create(TopDestinationsRequestSchema, { limit, order: Order.FLIGHTS });
  return Buffer.from(unsliced(comparablePartial(TOP, asked, { shard: 0, message, bounds }))!).toString("hex");
}

const group = fc.record({
  destination: fc.constantFrom("JFK", "SFO", "BOS", "ORD", "LAX"),
  flights: fc.bigInt({ min: 0n, max: 5n }),
  totalDelayMinutes: fc.bigInt({ min: -9n, max: 9n }),
});
const groups = fc.uniqueArray(group, { selector: ({ destination }) => destination });

describe("two partials", () => {
  test("are equal in whatever order their groups come, and however their sums are split", () => {
    fc.assert(
      fc.property(groups, fc.infiniteStream(fc.nat()), (some, random) => {
        const shuffled = some.map((one) => [random.next().value, one] as const).sort((a, b) => a[0] - b[0]);
        const split = some.flatMap((one) => [
          { ...one, flights: 0n },
          { destination: one.destination, flights: one.flights, totalDelayMinutes: 0n },
        ]);
        expect(
          bytesOf(
            shuffled.map(([, one]) => one),
            0,
          ),
        ).toBe(bytesOf(some, 0));
        expect(bytesOf(split, 0)).toBe(bytesOf(some, 0));
      }),
    );
  });

  test("differ when any merged value does", () => {
    fc.assert(
      fc.property(groups, fc.nat(), fc.boolean(), (some, at, isCount) => {
        fc.pre(some.length > 0);
        const i = at % some.length;
        const other = some.map((one, n) => {
          if (n !== i) return one;
          return isCount
            ? { ...one, flights: one.flights + 1n }
            : { ...one, totalDelayMinutes: one.totalDelayMinutes + 1n };
        });
        expect(bytesOf(other, 0)).not.toBe(bytesOf(some, 0));
        expect(
          bytesOf(
            some.filter((_, n) => n !== i),
            0,
          ),
        ).not.toBe(bytesOf(some, 0));
      }),
    );
  });

  test("that were cut off may have chosen differently among those that tie with the last, and not before", () => {
    const best = { destination: "ORD", flights: 9n };
    const tied = ["BOS", "JFK", "SFO"].map((destination) => ({ destination, flights: 4n }));
    expect(bytesOf([best, tied[0]!], 2, false)).toBe(bytesOf([best, tied[2]!], 2, false));
    expect(bytesOf([best, tied[0]!], 2)).toBe(bytesOf([best, tied[2]!], 2));
    expect(bytesOf([best, tied[0]!], 2, false)).not.toBe(bytesOf([{ ...best, flights: 8n }, tied[0]!], 2, false));
    // These are all that the shard has.
    expect(bytesOf([best, tied[0]!], 2, true)).not.toBe(bytesOf([best, tied[2]!], 2, true));
    expect(bytesOf([best, tied[0]!], 3)).not.toBe(bytesOf([best, tied[2]!], 3));
  });
});

test("many groups are worked on in slices", () => {
  const destinations = Array.from({ length: 10 * SLICE }, (_, n) => ({ destination: `D${(n * 7) % (10 * SLICE)}` }));
  const message = toBinary(TopDestinationsResponseSchema, create(TopDestinationsResponseSchema, { destinations }));
  const slices = comparablePartial(TOP, create(TopDestinationsRequestSchema), { shard: 0, message, bounds: undefined });
  let pauses = 0;
  while (!slices.next().done) pauses++;
  // Ten each for adding, finishing and writing; sorting has ten for each of its passes, of which there are at least five.
  expect(pauses).toBeGreaterThan(3 * 10 + 5 * 10 + 5);
});

test("rows of a stream are not compared", () => {
  const partial = { shard: 0, message: new Uint8Array(), bounds: undefined };
  expect(unsliced(comparablePartial(SEARCH, create(TopDestinationsRequestSchema), partial))).toBeUndefined();
});

test("bytes that are no partial are a fault", () => {
  const partial = { shard: 0, message: Uint8Array.of(0xff), bounds: undefined };
  expect(() => unsliced(comparablePartial(TOP, create(TopDestinationsRequestSchema), partial))).toThrow(
    "read partial of shard 0",
  );
});
