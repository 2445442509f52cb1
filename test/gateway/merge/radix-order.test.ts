import fc from "fast-check";
import { expect, test } from "vitest";
import { unsliced } from "../../../src/accumulator/sliced-sort.ts";
import { radixOrder } from "../../../src/gateway/merge/compiled/radix-order.ts";

const numbers = fc.array(
  fc.oneof(
    fc.double({ noNaN: true }),
    fc.integer(),
    fc.maxSafeInteger(),
    fc.constantFrom(0, -0, 1, -1, Infinity, -Infinity, 2 ** 53, Number.MIN_VALUE),
  ),
  { maxLength: 200 },
);

test("rows stand in the order of their numbers, equal ones as they came", () => {
  fc.assert(
    fc.property(numbers, fc.boolean(), (keys, descending) => {
      const sign = descending ? -1 : 1;
      const expected = [...keys.keys()].sort((a, b) => sign * (keys[a]! < keys[b]! ? -1 : keys[a]! > keys[b]! ? 1 : 0));
      // What stands behind the rows is not looked at.
      const rows = unsliced(radixOrder(Float64Array.from([...keys, Number.NaN]), keys.length, descending));
      expect([...rows]).toEqual(expected);
    }),
  );
});
