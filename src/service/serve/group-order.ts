import { create, type DescField, getOption, type MessageInitShape, ScalarType } from "@bufbuild/protobuf";
import { Fault } from "../../fault/fault.ts";
import { merge } from "../../wire/generated/skynetes/v1/merge_pb.ts";
import { type Scalar, ScalarSchema } from "../../wire/generated/skynetes/v1/stamp_pb.ts";
import { compareDecimals, parseDecimal } from "./decimal.ts";
import { exactQuotient } from "./exact-quotient.ts";
import { compareNumbers, type Fields, fieldReader } from "./field-order.ts";

/**
 * The order of groups by one of their fields, read so that shard and gateway see the same value: an average is worked
 * out anew from its sum and count, whatever the handler put there.
 */
export interface GroupOrder {
  /** Name in the .proto, as bounds carry it. */
  readonly field: string;
  readonly descending: boolean;
  /** undefined where the group has no value: an average over nothing. Such groups come last in either order. */
  read(group: Fields): unknown;
  compare(a: unknown, b: unknown): number;
  scalar(value: unknown): Scalar;
}

/** Fault `invalid-service`: the field has no order that bounds can speak of. */
export function groupOrder(element: DescField["parent"], fieldName: string, descending: boolean): GroupOrder {
  const field = fieldNamed(element, fieldName);
  const rule = getOption(field, merge).operator;
  const order = { field: field.name, descending };
  if (rule.case === "avg") {
    const read = averageReader(fieldNamed(element, rule.value.sum), fieldNamed(element, rule.value.count));
    return {
      ...order,
      read,
      compare: compareNumbers,
      scalar: (value) => scalarOf({ case: "real", value: value as number }),
    };
  }
  const read = fieldReader(field);
  if (isDecimal(field)) {
    return {
      ...order,
      read,
      compare: (a, b) => compareDecimals(decimalOf(a), decimalOf(b)),
      scalar: (value) => scalarOf({ case: "decimal", value: (value as { value?: string }).value ?? "0" }),
    };
  }
  return { ...order, read, compare: compareNumbers, scalar: scalarMaker(field) };
}

export function fieldNamed(message: DescField["parent"], name: string): DescField {
  const field = message.fields.find((candidate) => candidate.name === name);
  if (field === undefined) throw new Fault("invalid-service", `${message.typeName} has no field "${name}"`);
  return field;
}

function averageReader(sum: DescField, count: DescField): (group: Fields) => unknown {
  const readSum = fieldReader(sum);
  const readCount = fieldReader(count);
  return (group) => {
    const n = BigInt((readCount(group) as number | bigint | undefined) ?? 0);
    const total = readSum(group);
    if (n === 0n || total === undefined) return undefined;
    const [sign, weight] = n < 0n ? [-1n, -n] : [1n, n];
    if (isDecimal(sum)) {
      const { unscaled, scale } = decimalOf(total);
      return exactQuotient(sign * unscaled, weight * 10n ** BigInt(scale));
    }
    if (isReal(sum)) return (total as number) / Number(n);
    return exactQuotient(sign * BigInt(total as number | bigint), weight);
  };
}

function scalarMaker(field: DescField): (value: unknown) => Scalar {
  if (field.fieldKind !== "scalar") throw notANumber(field);
  switch (field.scalar) {
    case ScalarType.DOUBLE:
    case ScalarType.FLOAT:
      return (value) => scalarOf({ case: "real", value: value as number });
    case ScalarType.UINT32:
    case ScalarType.UINT64:
    case ScalarType.FIXED32:
    case ScalarType.FIXED64:
      return (value) => scalarOf({ case: "unsigned", value: BigInt(value as number) });
    case ScalarType.STRING:
    case ScalarType.BYTES:
    case ScalarType.BOOL:
      throw notANumber(field);
    default:
      return (value) => scalarOf({ case: "integer", value: BigInt(value as number) });
  }
}

function scalarOf(value: NonNullable<MessageInitShape<typeof ScalarSchema>["value"]>): Scalar {
  return create(ScalarSchema, { value });
}

function isDecimal(field: DescField): boolean {
  return field.fieldKind === "message" && field.message.typeName === "skynetes.v1.Decimal";
}

function isReal(field: DescField): boolean {
  return field.fieldKind === "scalar" && (field.scalar === ScalarType.DOUBLE || field.scalar === ScalarType.FLOAT);
}

function decimalOf(value: unknown) {
  return parseDecimal((value as { value?: string }).value);
}

function notANumber(field: DescField): Fault {
  return new Fault("invalid-service", `order groups by ${field.parent.typeName}.${field.name}: it is not a number`);
}
