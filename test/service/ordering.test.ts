import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { compareText } from "../../src/service/serve/compare-text.ts";
import { compareDecimals, parseDecimal } from "../../src/service/serve/decimal.ts";
import { exactQuotient } from "../../src/service/serve/exact-quotient.ts";
import { firstInOrder, sortInSlices } from "../../src/service/serve/sort-in-slices.ts";

const signal = new AbortController().signal;

describe("compareText", () => {
  test("orders like the UTF-8 bytes, beyond the basic plane too", () => {
    const text = fc.string({ unit: "binary", maxLength: 6 });
    fc.assert(
      fc.property(text, text, (a, b) => {
        expect(Math.sign(compareText(a, b))).toBe(Buffer.compare(Buffer.from(a), Buffer.from(b)));
      }),
    );
    // What `<` gets wrong: U+FF5E is below U+1F600, whose first UTF-16 unit is 0xD83D.
    expect(compareText("\uff5e", "\u{1f600}")).toBeLessThan(0);
  });
});

describe("exactQuotient", () => {
  test("is the nearest double, ties to even", () => {
    const numerator = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
    fc.assert(
      fc.property(numerator, fc.bigInt({ min: 1n, max: 2n ** 63n - 1n }), (n, d) => {
        const value = exactQuotient(n, d);
        // No neighbour is nearer: |value·d − n| compared exactly, the double being m · 2^e.
        const error = (x: number) => distance(x, n, d);
        for (const neighbour of [nextDouble(value, 1n), nextDouble(value, -1n)]) {
          expect(error(value) <= error(neighbour)).toBe(true);
        }
      }),
      { numRuns: 2000 },
    );
    expect(exactQuotient(2n ** 53n + 1n, 1n)).toBe(2 ** 53);
    expect(exactQuotient(2n ** 53n + 3n, 1n)).toBe(2 ** 53 + 4);
    expect(exactQuotient(-1n, 3n)).toBe(-1 / 3);
  });
});

/** |x − n/d| · d · 2^1100, exactly. */
function distance(x: number, n: bigint, d: bigint): bigint {
  const difference = scaled(x) * d - (n << SCALE);
  return difference < 0n ? -difference : difference;
}

const SCALE = 1100n;

function scaled(x: number): bigint {
  const bits = new BigUint64Array(new Float64Array([Math.abs(x)]).buffer)[0] as bigint;
  const exponent = bits >> 52n;
  const mantissa = (bits & (2n ** 52n - 1n)) | (exponent === 0n ? 0n : 2n ** 52n);
  const magnitude = mantissa << (SCALE - 1075n + (exponent === 0n ? 1n : exponent));
  return x < 0 ? -magnitude : magnitude;
}

function nextDouble(x: number, step: bigint): number {
  const array = new Float64Array([x]);
  const bits = new BigInt64Array(array.buffer);
  bits[0] = (bits[0] as bigint) + step;
  return Number.isFinite(array[0]) ? (array[0] as number) : x;
}

describe("decimals", () => {
  test("compare by value whatever their scale", () => {
    const order: readonly [string, string, number][] = [
      ["1.50", "1.5", 0],
      ["-0.1", "0", -1],
      ["99999999999999999999999999999999999999", "99999999999999999999999999999999999998.9", 1],
      [".5", "+0.50", 0],
    ];
    for (const [a, b, expected] of order)
      expect(compareDecimals(parseDecimal(a), parseDecimal(b)), `${a} ${b}`).toBe(expected);
    expect(() => parseDecimal("1e5")).toThrow("not a decimal");
    expect(() => parseDecimal(".")).toThrow("not a decimal");
  });
});

describe("sorting in slices", () => {
  const items = (length: number) => Array.from({ length }, (_, i) => ({ value: (i * 7919) % 1013, at: i }));
  const compare = (a: { value: number }, b: { value: number }) => a.value - b.value;

  test("gives what a sort gives, stable, and the first of it", async () => {
    for (const length of [0, 1, 2, 1023, 1024, 1025, 5000, 40_000]) {
      const given = items(length);
      const expected = given.toSorted(compare);
      expect(await sortInSlices(given, compare, signal)).toEqual(expected);
      for (const count of [1, 10, 700, Number.POSITIVE_INFINITY]) {
        const first = await firstInOrder(given, count, compare, signal);
        expect(first.map(({ value }) => value)).toEqual(expected.slice(0, count).map(({ value }) => value));
      }
    }
  });

  test("lets the event loop turn and stops when it is aborted", async () => {
    const abort = new AbortController();
    let turns = 0;
    const turning = () => {
      turns++;
      if (turns === 5) abort.abort(new Error("no longer wanted"));
      else setImmediate(turning);
    };
    setImmediate(turning);
    await expect(sortInSlices(items(100_000), compare, abort.signal)).rejects.toThrow("no longer wanted");
    expect(turns).toBe(5);
  });
});
