import { create, type DescField } from "@bufbuild/protobuf";
import { type ExactDecimal, formatDecimal } from "../../accumulator/decimal.ts";
import { floatSum } from "../../accumulator/float-sum.ts";
import { meanOfDecimals, meanOfFloats, meanOfIntegers } from "../../accumulator/mean.ts";
import { DOUBLE } from "../../accumulator/round-ratio.ts";
import {
  absentLast,
  compareDecimals,
  compareIntegers,
  compareReals,
  type Order,
} from "../../accumulator/value-order.ts";
import { Fault } from "../../fault/fault.ts";
import type { GroupOrder, MessageRecipe } from "../../merge-plan/method-plan.ts";
import { readDecimal } from "../../merge-plan/row-order.ts";
import { type Scalar, ScalarSchema } from "../../wire/generated/skynetes/v1/stamp_pb.ts";
import { type ValueType, valueTypeOf } from "../../wire/value-type.ts";
import { type Fields, partFieldReader } from "./part-field.ts";

/** What one shard's groups are ranked by, read so that shard and gateway see the same value. */
export interface PartRank {
  /** Name in the .proto, as bounds carry it. */
  readonly field: string;
  /** Undefined where the group has no value, such as an average over nothing: such groups come last in either order. */
  valueOf(group: Fields): PartValue | undefined;
  /**
   * The group has no value here and yet moves the value of the group as a whole: a sum counted zero times, or a count
   * without a sum. A mean that such a part belongs to need not lie between the means of its parts.
   */
  isOutsideBounds(group: Fields): boolean;
  /** Negative: `a` ranks before `b`. */
  readonly order: Order<PartValue | undefined>;
  scalarOf(value: PartValue): Scalar;
}

export type PartValue = bigint | number | ExactDecimal;

export function partRank(element: MessageRecipe, { field, descending }: GroupOrder): PartRank {
  const type = valueTypeOf(field);
  const recipe = element.fields.find((one) => one.field === field);
  const parts = recipe?.kind === "avg" ? meanPartsReader(recipe.field, recipe.sum, recipe.count) : undefined;
  return {
    field: field.name,
    valueOf: parts === undefined ? exactReader(field) : (group) => meanOf(parts(group)),
    isOutsideBounds: (group) => parts !== undefined && isLopsided(parts(group)),
    order: absentLast(partOrder(type), descending),
    scalarOf: (value) => create(ScalarSchema, { value: scalarOf(type, value) }),
  };
}

function exactReader(field: DescField): PartRank["valueOf"] {
  const read = partFieldReader(field);
  if (valueTypeOf(field).kind !== "decimal") return read as PartRank["valueOf"];
  return (group) => {
    const value = read(group);
    return value === undefined ? undefined : readDecimal(value);
  };
}

const doubles = floatSum(DOUBLE);

interface MeanParts {
  readonly kind: ValueType["kind"];
  readonly total: PartValue | undefined;
  readonly weight: bigint;
}

/** An average is worked out anew from its sum and count, whatever the handler put there. */
function meanPartsReader(mean: DescField, sum: DescField, count: DescField): (group: Fields) => MeanParts {
  const readSum = exactReader(sum);
  const readCount = exactReader(count);
  const { kind } = valueTypeOf(sum);
  return (group) => {
    const weight = BigInt((readCount(group) as bigint | number | undefined) ?? 0n);
    if (weight < 0n) throw new Fault("bad-partial", `work out ${mean.toString()}: the count is ${weight}`);
    return { kind, total: readSum(group), weight };
  };
}

function meanOf({ kind, total, weight }: MeanParts): number | undefined {
  if (total === undefined) return undefined;
  if (kind === "decimal") return meanOfDecimals(total as ExactDecimal, weight);
  if (kind === "integer") return meanOfIntegers(BigInt(total as bigint | number), weight);
  return meanOfFloats(doubles.add(doubles.empty(), total as number, 0), weight);
}

function isLopsided({ kind, total, weight }: MeanParts): boolean {
  if (total === undefined) return weight > 0n;
  if (weight > 0n) return false;
  return kind === "decimal" ? (total as ExactDecimal).units !== 0n : Number(total) !== 0;
}

function partOrder({ kind }: ValueType): Order<PartValue> {
  if (kind === "decimal") return compareDecimals as Order<PartValue>;
  return (kind === "real" ? compareReals : compareIntegers) as Order<PartValue>;
}

function scalarOf(type: ValueType, value: PartValue) {
  if (type.kind === "decimal") return { case: "decimal", value: formatDecimal(value as ExactDecimal) } as const;
  if (type.kind !== "integer") return { case: "real", value: value as number } as const;
  return { case: type.min === 0n ? "unsigned" : "integer", value: BigInt(value as bigint | number) } as const;
}
