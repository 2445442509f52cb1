import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { formatDecimal, parseDecimal } from "../../src/accumulator/decimal.ts";
import { decimalSum } from "../../src/accumulator/decimal-sum.ts";
import { dyadicOf, roundDyadic } from "../../src/accumulator/dyadic.ts";
import { floatSum } from "../../src/accumulator/float-sum.ts";
import { integerSum } from "../../src/accumulator/integer-sum.ts";
import { meanOfDecimals, meanOfFloats, meanOfIntegers } from "../../src/accumulator/mean.ts";
import { bitLength, DOUBLE, powerOfTwo, roundRatio, SINGLE } from "../../src/accumulator/round-ratio.ts";
import { SLICE, slicedFirst, slicedSort, unsliced } from "../../src/accumulator/sliced-sort.ts";
import { absentLast, compareIntegers, compareReals, compareText } from "../../src/accumulator/value-order.ts";

const sumOf = (values: readonly number[], format = DOUBLE) => {
  const sum = floatSum(format);
  return sum.finish(values.reduce((state, value) => sum.add(state, value, 0), sum.empty()));
};

describe("integers", () => {
  const int64 = integerSum({ name: "int64", min: -(2n ** 63n), max: 2n ** 63n - 1n });

  test("a sum beyond int64 is an overflow, not another number", () => {
    expect(() => int64.finish(int64.add(2n ** 63n - 1n, 1n, 0))).toThrow(/sum 9223372036854775808 does not fit int64/);
    expect(() => int64.finish(-(2n ** 63n) - 1n)).toThrow(/does not fit/);
  });

  test("a sum that leaves int64 on the way and comes back is exact", () => {
    const state = [2n ** 63n - 1n, 2n ** 63n - 1n, -(2n ** 63n)].reduce((sum, one) => int64.add(sum, one, 0), 0n);
    expect(int64.finish(state)).toBe(2n ** 63n - 2n);
  });

  test("beyond 2^53 every unit counts", () => {
    expect(int64.finish(int64.add(2n ** 53n, 1n, 0))).toBe(9007199254740993n);
  });
});

describe("floats", () => {
  test("are added exactly and rounded once", () => {
    expect(sumOf([1e100, 1, -1e100])).toBe(1);
    expect(sumOf([0.1, 0.2, 0.3])).toBe(0.6);
    expect(sumOf(Array(10).fill(0.1))).toBe(1);
    expect(sumOf([1e308, 1e308, -1e308])).toBe(1e308);
  });

  test("NaN and infinities decide; zeros add to +0", () => {
    expect(sumOf([1, Number.NaN])).toBeNaN();
    expect(sumOf([Infinity, -Infinity, 1])).toBeNaN();
    expect(sumOf([-Infinity, 1e308, 1e308])).toBe(-Infinity);
    expect(Object.is(sumOf([-0, -0]), 0)).toBe(true);
  });

  test("a sum of finite numbers beyond the type is an overflow", () => {
    expect(() => sumOf([1.7e308, 1.7e308])).toThrow(/beyond the range/);
    expect(() => sumOf([3e38, 3e38], SINGLE)).toThrow(/beyond the range/);
  });

  test("a float is rounded from the exact sum, not by way of a double", () => {
    // 1 + 2^-24 is half way between two floats; the last bit of the exact sum decides, which a double has lost.
    const values = [1, 2 ** -24, 2 ** -80];
    expect(sumOf(values, SINGLE)).toBe(1 + 2 ** -23);
    expect(Math.fround(sumOf(values))).toBe(1);
  });

  test("every double survives being taken apart", () => {
    fc.assert(
      fc.property(
        fc.double({ noNaN: true, noDefaultInfinity: true }),
        (value) => roundDyadic(dyadicOf(value)) === value,
      ),
    );
    fc.assert(
      fc.property(fc.integer({ min: -1074, max: 1023 }), (e) => bitLength(2n ** BigInt(e + 1074)) === e + 1075),
    );
    expect([powerOfTwo(-1074), powerOfTwo(-1022), powerOfTwo(0), powerOfTwo(1023)]).toEqual([
      5e-324,
      2.2250738585072014e-308,
      1,
      2 ** 1023,
    ]);
  });
});

describe("rounding a ratio", () => {
  test("agrees with division where division is exact to the last bit", () => {
    const safe = fc.bigInt({ min: -(2n ** 53n) + 1n, max: 2n ** 53n - 1n });
    fc.assert(
      fc.property(safe, fc.bigInt({ min: 1n, max: 2n ** 53n - 1n }), (numerator, denominator) => {
        const scale = 2n ** 80n;
        const ratio = roundRatio(numerator * scale, denominator * scale);
        expect(ratio).toBe(numerator === 0n ? 0 : Number(numerator) / Number(denominator));
      }),
    );
  });

  test("agrees with the engine's own conversion of big integers", () => {
    fc.assert(
      fc.property(
        fc.bigInt({ min: -(2n ** 1000n), max: 2n ** 1000n }),
        (value) => roundRatio(value, 1n) === Number(value),
      ),
    );
  });

  test("is the nearest double: neither neighbour is nearer", () => {
    const numerator = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
    fc.assert(
      fc.property(numerator, fc.bigInt({ min: 1n, max: 2n ** 63n - 1n }), (n, d) => {
        const value = roundRatio(n, d);
        for (const neighbour of [nextDouble(value, 1n), nextDouble(value, -1n)]) {
          expect(distance(value, n, d) <= distance(neighbour, n, d)).toBe(true);
        }
      }),
      { numRuns: 2000 },
    );
  });

  test("rounds half to even, keeps subnormals and ends in infinity", () => {
    expect(roundRatio(2n ** 54n + 2n, 2n)).toBe(2 ** 53);
    expect(roundRatio(2n ** 54n + 6n, 2n)).toBe(2 ** 53 + 4);
    expect(roundRatio(1n, 2n ** 1074n)).toBe(5e-324);
    expect(roundRatio(1n, 2n ** 1075n)).toBe(0);
    expect(roundRatio(3n, 2n ** 1075n)).toBe(1e-323);
    expect(roundRatio(-(2n ** 1024n), 1n)).toBe(-Infinity);
  });
});

/** |x − n/d| · d · 2^1074, exactly. */
function distance(x: number, n: bigint, d: bigint): bigint {
  const { units, exponent } = dyadicOf(x);
  const difference = (units << BigInt(exponent + 1074)) * d - (n << 1074n);
  return difference < 0n ? -difference : difference;
}

function nextDouble(x: number, step: bigint): number {
  const array = new Float64Array([x]);
  const bits = new BigInt64Array(array.buffer);
  bits[0] = (bits[0] as bigint) + step;
  return Number.isFinite(array[0]) ? (array[0] as number) : x;
}

describe("means", () => {
  test("are of the exact sum, rounded once, and absent over nothing", () => {
    expect(meanOfIntegers(5n, 0n)).toBeUndefined();
    expect(meanOfIntegers(2n ** 70n + 1n, 2n ** 70n)).toBe(1);
    expect(meanOfIntegers(-7n, 2n)).toBe(-3.5);
    expect(meanOfDecimals(parseDecimal("0.3")!, 3n)).toBe(0.1);
    const sum = floatSum(DOUBLE);
    const state = [1.7e308, 1.7e308].reduce((s, one) => sum.add(s, one, 0), sum.empty());
    expect(meanOfFloats(state, 2n)).toBe(1.7e308);
    expect(meanOfFloats(sum.add(state, Number.NaN, 0), 3n)).toBeNaN();
  });
});

describe("decimals", () => {
  test.each(["0", "-0.00", "12.50", "-0.5", `${"9".repeat(38)}`, `0.${"0".repeat(37)}1`])("%s is read", (text) => {
    expect(formatDecimal(parseDecimal(text)!)).toBe(text.replace("-0.00", "0.00"));
  });

  test.each(["", ".5", "1.", "1e5", "--1", "1 ", "NaN", "1".repeat(39), "١"])("%j is refused", (text) => {
    expect(parseDecimal(text)).toBeUndefined();
  });

  test("a sum of more than 38 digits is an overflow", () => {
    const sum = decimalSum();
    const most = parseDecimal("9".repeat(38))!;
    expect(() => sum.finish(sum.add(most, parseDecimal("1")!, 0))).toThrow(/more than 38 digits/);
  });
});

describe("orders", () => {
  test("text is ordered by its UTF-8 bytes", () => {
    const points = fc.constantFrom(
      0,
      0x41,
      0x7f,
      0x80,
      0x7ff,
      0x800,
      0xd7ff,
      0xe000,
      0xffff,
      0x10000,
      0x1f600,
      0x10ffff,
    );
    const text = fc.array(points, { maxLength: 6 }).map((list) => String.fromCodePoint(...list));
    fc.assert(
      fc.property(
        text,
        text,
        (a, b) => Math.sign(compareText(a, b)) === Buffer.compare(Buffer.from(a), Buffer.from(b)),
      ),
    );
    expect(["😀", "｡", "z"].sort(compareText)).toEqual(["z", "｡", "😀"]);
  });

  test("NaN is the greatest, the zeros are equal, absent is last both ways", () => {
    expect([NaN, 1, Infinity].sort(compareReals)).toEqual([1, Infinity, NaN]);
    expect(compareReals(-0, 0)).toBe(0);
    expect(
      [1, undefined, 2]
        .map((x) => ({ x }))
        .sort((a, b) => absentLast<number>(compareIntegers, true)(a.x, b.x))
        .map(({ x }) => x),
    ).toEqual([2, 1, undefined]);
  });
});

test("the sliced sort is the stable sort, and pauses", () => {
  const items = Array.from({ length: 5 * SLICE + 17 }, (_, index) => ({ value: (index * 7919) % 101, index }));
  const order = (a: { value: number }, b: { value: number }) => a.value - b.value;
  expect(unsliced(slicedSort(items, order))).toEqual([...items].sort(order));
  const slices = slicedSort(items, order);
  let pauses = 0;
  while (!slices.next().done) pauses += 1;
  expect(pauses).toBeGreaterThan(10);
  expect(unsliced(slicedSort([], order))).toEqual([]);
});

test("the first few are those of the stable sort, whether few or many are wanted", () => {
  for (const length of [0, 1, SLICE, 20_000]) {
    const items = Array.from({ length }, (_, index) => ({ value: (index * 7919) % 1013, index }));
    const order = (a: { value: number }, b: { value: number }) => a.value - b.value;
    for (const count of [1, 10, 700, 15_000, Number.POSITIVE_INFINITY]) {
      expect(unsliced(slicedFirst(items, count, order))).toEqual(items.toSorted(order).slice(0, count));
    }
  }
});
