/** The accumulator of one field, with what stands between it and the message: conversions to exact values and back. */
import { create, type Message } from "@bufbuild/protobuf";
import type { Accumulator } from "../../accumulator/accumulator.ts";
import { all } from "../../accumulator/all.ts";
import { any } from "../../accumulator/any.ts";
import { bitOr } from "../../accumulator/bit-or.ts";
import { concat } from "../../accumulator/concat.ts";
import { type ExactDecimal, formatDecimal } from "../../accumulator/decimal.ts";
import { decimalSum } from "../../accumulator/decimal-sum.ts";
import { distinct } from "../../accumulator/distinct.ts";
import { greatest, least } from "../../accumulator/extreme.ts";
import { first } from "../../accumulator/first.ts";
import { floatSum } from "../../accumulator/float-sum.ts";
import { integerSum } from "../../accumulator/integer-sum.ts";
import { DOUBLE, SINGLE } from "../../accumulator/round-ratio.ts";
import type { Slices } from "../../accumulator/sliced-sort.ts";
import { sorted, type Window } from "../../accumulator/sorted.ts";
import type { FieldRecipe } from "../../merge-plan/method-plan.ts";
import { readDecimal, rowOrder, valueOrder } from "../../merge-plan/row-order.ts";
import { valueIdentity } from "../../merge-plan/value-identity.ts";
import { DecimalSchema } from "../../wire/generated/skynetes/v1/merge_pb.ts";
import { type ValueType, valueTypeOf } from "../../wire/value-type.ts";
import type { MemoryBudget } from "./held-bytes.ts";

/** Works on values as messages hold them; integers may come out as bigints whatever the field's width. */
export type FieldAccumulator = Accumulator<unknown, unknown, unknown> & {
  finishSlices?(state: unknown): Slices<unknown>;
};

export interface MergeContext {
  readonly window: Window;
  readonly budget: MemoryBudget;
}

type LeafRecipe = Exclude<FieldRecipe, { kind: "avg" | "count-of" | "group" | "nested" }>;

export function leafAccumulator(recipe: LeafRecipe, { window, budget }: MergeContext): FieldAccumulator {
  const type = valueTypeOf(recipe.field);
  switch (recipe.kind) {
    case "sum":
      return sumAccumulator(type);
    case "min":
      return least(valueOrder(type, true)) as FieldAccumulator;
    case "max":
      return greatest(valueOrder(type, true)) as FieldAccumulator;
    case "any":
      return any as FieldAccumulator;
    case "all":
      return all as FieldAccumulator;
    case "bit-or":
      return converted(bitOr, BigInt as (value: unknown) => bigint, same);
    case "first":
      return first() as FieldAccumulator;
    case "key":
      return keyAccumulator;
    case "concat":
      return held(concat() as FieldAccumulator, budget);
    case "sorted":
      return held(sorted(rowOrder(recipe.by), window) as unknown as FieldAccumulator, budget);
    case "distinct":
      return distinct({
        identityOf: valueIdentity(type),
        order: valueOrder(type, true),
        onNew: budget.hold,
      }) as unknown as FieldAccumulator;
  }
}

/** Every element of a group has the same key, so its state is the key itself. */
const keyAccumulator: FieldAccumulator = {
  empty: () => undefined,
  add: (_state, input) => input,
  merge: (a, b) => a ?? b,
  finish: (state) => state,
};

function sumAccumulator(type: ValueType): FieldAccumulator {
  switch (type.kind) {
    case "integer":
      // 64-bit fields come as bigints, the others as numbers.
      return converted(integerSum(type), type.max > 2n ** 32n ? same : (BigInt as (value: unknown) => bigint), same);
    case "real":
      return floatSum(type.single ? SINGLE : DOUBLE) as unknown as FieldAccumulator;
    default:
      return converted(decimalSum(), readDecimal, writeDecimal);
  }
}

export function writeDecimal(decimal: ExactDecimal): Message {
  return create(DecimalSchema, { value: formatDecimal(decimal) });
}

function same<T>(value: unknown): T {
  return value as T;
}

function converted<S, I, O>(
  inner: Accumulator<S, I, O>,
  read: (value: unknown) => I,
  write: (value: O) => unknown,
): FieldAccumulator {
  return {
    empty: inner.empty,
    add: (state, input, shard) => inner.add(state as S, read(input), shard),
    merge: (a, b) => inner.merge(a as S, b as S),
    finish: (state) => write(inner.finish(state as S)),
  };
}

function held(inner: FieldAccumulator, budget: MemoryBudget): FieldAccumulator {
  return {
    ...inner,
    add(state, input, shard) {
      budget.hold(input);
      return inner.add(state, input, shard);
    },
  };
}
