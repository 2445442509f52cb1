/**
 * What groups are ranked by: the value of the order's field as the answer shows it. An average is ranked as the double
 * that the reader sees, so that groups that look alike are told apart by their keys and not by hidden digits.
 */
import type { Message } from "@bufbuild/protobuf";
import { DECIMAL_DIGITS_MAX, decimalUnitsAt, type ExactDecimal, parseDecimal } from "../../accumulator/decimal.ts";
import { dyadicOf, roundDyadic, unitsAt } from "../../accumulator/dyadic.ts";
import type { FloatSumState } from "../../accumulator/float-sum.ts";
import { DOUBLE, SINGLE } from "../../accumulator/round-ratio.ts";
import { absentLast, compareIntegers, compareReals, type Order } from "../../accumulator/value-order.ts";
import type { GroupOrder, MessageRecipe } from "../../merge-plan/method-plan.ts";
import { readDecimal } from "../../merge-plan/row-order.ts";
import type { Scalar } from "../../wire/generated/skynetes/v1/stamp_pb.ts";
import { fieldReader } from "../../wire/message-field.ts";
import { type ValueType, valueTypeOf } from "../../wire/value-type.ts";
import { type MessageState, meanReader } from "./message-accumulator.ts";

/** Integers as they are, decimals in units of 10^-38, floats as numbers; absent ranks last. All of one rank are alike. */
export type Shown = bigint | number | undefined;

/** Doubles as whole numbers of the least one, 2^-1074, so that sums and bounds of all types are sums of bigints. */
const FINEST = -1074;

export interface Rank {
  /** How shards' parts make a group's value: they add up, or the value lies between theirs (avg, min, max). */
  readonly family: "sum" | "extreme";
  readonly descending: boolean;
  /** Negative: `a` ranks before `b`. */
  readonly order: Order<Shown>;
  /** The finished value of a merged group. */
  valueOf(state: MessageState): Shown;
  /** One shard's part has no value to rank by; of averages it is not the value but its sums that count. */
  isAbsent(element: Message): boolean;
  /** One shard's part of a sum; undefined if it is not finite. */
  exactOf(element: Message): bigint | undefined;
  /** An exact sum as it is ranked. */
  shownOf(exact: bigint): Shown;
  /** A bound, as an exact part of a sum or as a ranked value; undefined if it is of another type or not finite. */
  boundOf(scalar: Scalar | undefined): bigint | number | undefined;
}

export function compileRank(element: MessageRecipe, { field, descending }: GroupOrder): Rank {
  const index = element.fields.findIndex((recipe) => recipe.field === field);
  const recipe = element.fields[index]!;
  const type = valueTypeOf(field);
  const read = fieldReader(field);
  const count = recipe.kind === "avg" ? fieldReader(recipe.count) : undefined;
  const summed = recipe.kind === "avg" ? fieldReader(recipe.sum) : undefined;
  const mean = recipe.kind === "avg" ? meanReader(recipe, element) : undefined;
  const shownOf = (exact: bigint): Shown => {
    if (type.kind !== "real") return exact;
    return roundDyadic({ units: exact, exponent: FINEST }, type.single ? SINGLE : DOUBLE);
  };
  return {
    family: recipe.kind === "sum" ? "sum" : "extreme",
    descending,
    order: absentLast<bigint | number>(compareShown, descending),
    valueOf(state) {
      if (mean !== undefined) return mean(state);
      const value = state[index];
      if (value === undefined) return undefined;
      return recipe.kind === "sum" ? shownSum(value, type) : shownValue(value, type);
    },
    isAbsent: (part) => (count === undefined ? read(part) === undefined : !count(part) || summed?.(part) === undefined),
    exactOf: (part) => exactValue(read(part), type),
    shownOf,
    boundOf(scalar) {
      const isReal = recipe.kind !== "sum" && type.kind === "real" && scalar?.value.case === "real";
      if (isReal) return Number.isFinite(scalar.value.value) ? (scalar.value.value as number) : undefined;
      return exactScalar(scalar, type);
    },
  };
}

function compareShown(a: bigint | number, b: bigint | number): number {
  return typeof a === "number" && typeof b === "number" ? compareReals(a, b) : compareIntegers(a, b);
}

function shownSum(state: unknown, type: ValueType): Shown {
  if (type.kind === "integer") return state as bigint;
  if (type.kind === "decimal") return decimalUnitsAt(state as ExactDecimal, DECIMAL_DIGITS_MAX);
  const { finite, special } = state as FloatSumState;
  return special ?? roundDyadic(finite, type.kind === "real" && type.single ? SINGLE : DOUBLE);
}

function shownValue(value: unknown, type: ValueType): Shown {
  if (type.kind === "integer") return BigInt(value as bigint | number);
  return type.kind === "decimal" ? decimalUnitsAt(readDecimal(value), DECIMAL_DIGITS_MAX) : (value as number);
}

function exactValue(value: unknown, type: ValueType): bigint | undefined {
  if (type.kind !== "real") return shownValue(value, type) as bigint;
  return Number.isFinite(value) ? unitsAt(dyadicOf(value as number), FINEST) : undefined;
}

function exactScalar(scalar: Scalar | undefined, type: ValueType): bigint | undefined {
  const value = scalar?.value;
  switch (value?.case) {
    case "integer":
    case "unsigned":
      return type.kind === "integer" ? value.value : undefined;
    case "real":
      return type.kind === "real" ? exactValue(value.value, type) : undefined;
    case "decimal": {
      const decimal = type.kind === "decimal" ? parseDecimal(value.value) : undefined;
      return decimal && decimalUnitsAt(decimal, DECIMAL_DIGITS_MAX);
    }
    default:
      return undefined;
  }
}
