import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Accumulator } from "../../src/accumulator/accumulator.ts";
import { all } from "../../src/accumulator/all.ts";
import { any } from "../../src/accumulator/any.ts";
import { bitOr } from "../../src/accumulator/bit-or.ts";
import { concat } from "../../src/accumulator/concat.ts";
import { formatDecimal, parseDecimal } from "../../src/accumulator/decimal.ts";
import { decimalSum } from "../../src/accumulator/decimal-sum.ts";
import { distinct } from "../../src/accumulator/distinct.ts";
import { greatest, least } from "../../src/accumulator/extreme.ts";
import { first } from "../../src/accumulator/first.ts";
import { floatSum } from "../../src/accumulator/float-sum.ts";
import { group } from "../../src/accumulator/group.ts";
import { integerSum } from "../../src/accumulator/integer-sum.ts";
import { DOUBLE } from "../../src/accumulator/round-ratio.ts";
import { sorted } from "../../src/accumulator/sorted.ts";
import {
  compareDecimalsTotally,
  compareIntegers,
  compareRealsTotally,
  compareText,
} from "../../src/accumulator/value-order.ts";

/**
 * The laws of every operator: merge is associative and commutative, `empty` is its identity, the result does not depend
 * on how the inputs are divided among states, and a finished part can travel and be merged again.
 */
interface Subject {
  readonly name: string;
  readonly accumulator: Accumulator<unknown, unknown, unknown>;
  readonly input: fc.Arbitrary<unknown>;
  /** From a finished part back to an input, as when it travelled; undefined where parts are rounded. */
  readonly travel?: ((out: unknown) => unknown) | undefined;
  /** What one shard may send only once, since its meaning depends on the shard. */
  readonly isByShard?: boolean;
}

const int64 = integerSum({ name: "int64", min: -(2n ** 63n), max: 2n ** 63n - 1n });
const small = fc.bigInt({ min: -(2n ** 40n), max: 2n ** 40n });
const decimalText = fc
  .tuple(fc.bigInt({ min: -(10n ** 18n), max: 10n ** 18n }), fc.integer({ min: 0, max: 9 }))
  .map(([units, scale]) => parseDecimal(formatDecimal({ units, scale }))!);
const numbers = fc.oneof(fc.double(), fc.constantFrom(0, -0, Number.NaN, Infinity, -Infinity, 1e300, -1e300, 5e-324));
const sane = fc.oneof(
  fc.double({ min: -1e300, max: 1e300, noNaN: true }),
  fc.constantFrom(0, -0, NaN, Infinity, -Infinity),
);
const words = fc.string({ unit: "binary", maxLength: 3 });
const pairs = group<[string | undefined, bigint], readonly [string, bigint], readonly [string, bigint]>({
  identityOf: ([key]) => key,
  element: {
    empty: () => [undefined, 0n],
    add: ([, sum], [key, value]) => [key, sum + value],
    merge: ([a, x], [b, y]) => [a ?? b, x + y],
    finish: ([key, sum]) => [key!, sum],
  },
  order: ([a], [b]) => compareText(a!, b!),
});

const SUBJECTS = [
  { name: "sum of integers", accumulator: int64, input: small, travel: same },
  { name: "sum of floats", accumulator: floatSum(DOUBLE), input: sane },
  { name: "sum of decimals", accumulator: decimalSum(), input: decimalText, travel: same },
  { name: "min of floats", accumulator: least(compareRealsTotally), input: numbers, travel: same },
  { name: "max of floats", accumulator: greatest(compareRealsTotally), input: numbers, travel: same },
  { name: "min of text", accumulator: least(compareText), input: words, travel: same },
  { name: "max of decimals", accumulator: greatest(compareDecimalsTotally), input: decimalText, travel: same },
  { name: "any", accumulator: any, input: fc.boolean(), travel: same },
  { name: "all", accumulator: all, input: fc.boolean(), travel: same },
  { name: "bit-or", accumulator: bitOr, input: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), travel: same },
  { name: "first", accumulator: first(), input: words, isByShard: true },
  { name: "concat", accumulator: concat(), input: fc.array(words, { maxLength: 4 }), isByShard: true },
  {
    name: "sorted",
    accumulator: sorted<bigint>(compareIntegers, { offset: 1, limit: 5 }),
    input: fc.array(small, { maxLength: 4 }),
  },
  {
    name: "distinct",
    accumulator: distinct<string>({ identityOf: (value) => value, order: compareText }),
    input: fc.array(fc.constantFrom("", "a", "b", "｡", "😀"), { maxLength: 4 }),
    travel: same,
  },
  {
    name: "group",
    accumulator: pairs,
    input: fc.array(fc.tuple(fc.constantFrom("", "a", "b", "｡", "😀"), small), { maxLength: 4 }),
    travel: same,
  },
] as unknown as readonly Subject[];

function same(out: unknown): unknown {
  return out;
}

interface Input {
  readonly value: unknown;
  readonly shard: number;
}

function inputs({ input, isByShard }: Subject): fc.Arbitrary<Input[]> {
  const one = fc.record({ value: input, shard: fc.nat({ max: 30 }) });
  return isByShard
    ? fc.uniqueArray(one, { selector: ({ shard }) => shard, maxLength: 12 })
    : fc.array(one, { maxLength: 12 });
}

/** A state may reuse its parts' memory, so each use makes its own. */
function stateOf({ accumulator }: Subject, items: readonly Input[]): unknown {
  return items.reduce((state, { value, shard }) => accumulator.add(state, value, shard), accumulator.empty());
}

describe.each(SUBJECTS.map((subject) => [subject.name, subject] as const))("%s", (_, subject) => {
  const { accumulator } = subject;
  const finish = (state: unknown) => accumulator.finish(state);
  const list = inputs(subject);

  test("merge is commutative", () => {
    fc.assert(
      fc.property(list, fc.nat(12), (items, at) => {
        const [a, b] = [items.slice(0, at), items.slice(at)];
        const left = finish(accumulator.merge(stateOf(subject, a), stateOf(subject, b)));
        expect(left).toStrictEqual(finish(accumulator.merge(stateOf(subject, b), stateOf(subject, a))));
      }),
    );
  });

  test("merge is associative", () => {
    fc.assert(
      fc.property(list, fc.nat(12), fc.nat(12), (items, x, y) => {
        const [from, to] = [Math.min(x, y), Math.max(x, y)];
        const parts = [items.slice(0, from), items.slice(from, to), items.slice(to)] as const;
        const [a, b, c] = parts.map((part) => stateOf(subject, part));
        const left = finish(accumulator.merge(accumulator.merge(a, b), c));
        const [d, e, f] = parts.map((part) => stateOf(subject, part));
        expect(left).toStrictEqual(finish(accumulator.merge(d, accumulator.merge(e, f))));
      }),
    );
  });

  test("empty is the identity of merge", () => {
    fc.assert(
      fc.property(list, (items) => {
        const whole = finish(stateOf(subject, items));
        expect(finish(accumulator.merge(accumulator.empty(), stateOf(subject, items)))).toStrictEqual(whole);
        expect(finish(accumulator.merge(stateOf(subject, items), accumulator.empty()))).toStrictEqual(whole);
      }),
    );
  });

  test("neither the order of the inputs nor their division among states shows", () => {
    const shuffled = list.chain((items) =>
      fc.tuple(
        fc.constant(items),
        fc.shuffledSubarray(items, { minLength: items.length }),
        fc.integer({ min: 1, max: 5 }),
      ),
    );
    fc.assert(
      fc.property(shuffled, ([items, reordered, states]) => {
        const parts = Array.from({ length: states }, (_, index) => reordered.filter((__, at) => at % states === index));
        const merged = parts.map((part) => stateOf(subject, part)).reduce((a, b) => accumulator.merge(a, b));
        expect(finish(merged)).toStrictEqual(finish(stateOf(subject, items)));
      }),
    );
  });

  const { travel } = subject;
  if (travel === undefined) return;
  test("a finished part may travel and be merged again", () => {
    fc.assert(
      fc.property(list, fc.nat(12), (items, at) => {
        const [a, b] = [items.slice(0, at), items.slice(at)].map((part) => finish(stateOf(subject, part)));
        const travelled = [a, b].filter((out) => out !== undefined).map((out) => ({ value: travel(out), shard: 0 }));
        expect(finish(stateOf(subject, travelled))).toStrictEqual(finish(stateOf(subject, items)));
      }),
    );
  });
});
