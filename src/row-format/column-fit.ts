import { type ColumnKind, type ColumnType, columnKind } from "../mesh/column-type.ts";
import { valueParser } from "./column-value.ts";
import { quoted, RowReject } from "./row-reject.ts";
import type { RowValue } from "./row-value.ts";

/** What a field of a schema holds, whatever the format: the value that its library gives for it is in the comment. */
export type FieldKind =
  /** boolean */
  | { readonly kind: "boolean" }
  /** number or bigint */
  | { readonly kind: "integer"; readonly is64: boolean }
  /** number */
  | { readonly kind: "real"; readonly isSingle: boolean }
  /** string */
  | { readonly kind: "text" }
  /** Uint8Array */
  | { readonly kind: "bytes" }
  /** bigint: the unscaled value */
  | { readonly kind: "decimal"; readonly precision: number; readonly scale: number }
  /** number: days since 1970-01-01 */
  | { readonly kind: "date" }
  /** bigint: since 1970-01-01T00:00:00Z, in this many nanoseconds each */
  | { readonly kind: "instant"; readonly unitNs: bigint };

/** How a field's value becomes a column's, and back. Both throw `RowReject` where a value does not fit. */
export interface ColumnFit {
  read(value: unknown): RowValue;
  write(value: RowValue): unknown;
}

/** `undefined`: no value of such a field is one of the column. */
export function columnFit(type: ColumnType, field: FieldKind): ColumnFit | undefined {
  const column = columnKind(type);
  switch (column.kind) {
    case "BOOLEAN":
      return field.kind === "boolean" ? AS_IT_IS : undefined;
    case "INT32":
      return field.kind === "integer" ? integerFit(type, field.is64, 31n, Number) : undefined;
    case "INT64":
      return field.kind === "integer" ? integerFit(type, field.is64, 63n, (value) => value) : undefined;
    case "DOUBLE":
      return field.kind === "real" ? realFit(field.isSingle) : undefined;
    case "DECIMAL":
      return decimalFit(type, column, field);
    case "STRING":
      return field.kind === "text" ? AS_IT_IS : undefined;
    case "BYTES":
      return field.kind === "bytes" ? AS_IT_IS : undefined;
    case "DATE":
      return field.kind === "date" ? DAYS : textFit(type, field, (days) => dayText(Number(days)));
    case "TIMESTAMP":
      return field.kind === "instant"
        ? instantFit(field.unitNs)
        : textFit(type, field, (us) => instantText(us as bigint));
    default:
      column satisfies never;
      throw new TypeError(`no fit for ${type}`);
  }
}

const AS_IT_IS: ColumnFit = { read: (value) => value as RowValue, write: (value) => value };

function integerFit(type: ColumnType, is64: boolean, bits: bigint, kept: (value: bigint) => RowValue): ColumnFit {
  const limit = 2n ** bits;
  return {
    read(value) {
      const exact = BigInt(value as number | bigint);
      if (exact < -limit || exact >= limit) throw new RowReject(`${exact} does not fit ${type}`);
      return kept(exact);
    },
    write(value) {
      const exact = BigInt(value as number | bigint);
      if (is64) return exact;
      if (exact < -(2n ** 31n) || exact >= 2n ** 31n) throw new RowReject(`${exact} does not fit the field's 32 bits`);
      return Number(exact);
    },
  };
}

function realFit(isSingle: boolean): ColumnFit {
  return {
    read(value) {
      if (!Number.isFinite(value)) throw new RowReject(`${value} does not fit DOUBLE`);
      return value as number;
    },
    write(value) {
      if (isSingle && !Object.is(Math.fround(value as number), value)) {
        throw new RowReject(`${value} does not fit the field's 32 bits`);
      }
      return value;
    },
  };
}

function decimalFit(
  type: ColumnType,
  column: ColumnKind & { kind: "DECIMAL" },
  field: FieldKind,
): ColumnFit | undefined {
  if (field.kind !== "decimal" && field.kind !== "integer")
    return textFit(type, field, (value) => decimalText(value as bigint, column.scale));
  const from = field.kind === "decimal" ? field.scale : 0;
  const { precision, scale } = column;
  return {
    read: (value) => rescaled(BigInt(value as number | bigint), { from, to: scale, precision }, type),
    write(value) {
      const whole = field.kind === "integer";
      const precisionOfField = whole ? (field.is64 ? 18 : 9) : field.precision;
      const exact = rescaled(value as bigint, { from: scale, to: from, precision: precisionOfField }, "the field");
      return whole && !field.is64 ? Number(exact) : exact;
    },
  };
}

function rescaled(value: bigint, { from, to, precision }: Rescale, what: string): bigint {
  const factor = 10n ** BigInt(Math.abs(to - from));
  const spelled = () => decimalText(value, from);
  if (to < from && value % factor !== 0n) throw new RowReject(`${spelled()} has more than ${to} places for ${what}`);
  const exact = to < from ? value / factor : value * factor;
  const limit = 10n ** BigInt(precision);
  if (exact >= limit || exact <= -limit) throw new RowReject(`${spelled()} does not fit ${what}`);
  return exact;
}

interface Rescale {
  readonly from: number;
  readonly to: number;
  /** Digits that the result may have. */
  readonly precision: number;
}

/** Text in the same spelling as in JSON. */
function textFit(type: ColumnType, field: FieldKind, spell: (value: RowValue) => string): ColumnFit | undefined {
  if (field.kind !== "text") return undefined;
  const parser = valueParser(type);
  return { read: (value) => parser.fromString(value as string), write: spell };
}

/** 0001-01-01 and 9999-12-31, as days and as the microseconds that begin and end them. */
const FIRST_DAY = -719_162;
const LAST_DAY = 2_932_896;
const DAY_US = 86_400_000_000n;

const DAYS: ColumnFit = {
  read(value) {
    const days = value as number;
    if (days >= FIRST_DAY && days <= LAST_DAY) return days;
    throw new RowReject(`day ${days} since 1970 is not in the years 0001 to 9999`);
  },
  write: (value) => value,
};

function instantFit(unitNs: bigint): ColumnFit {
  return {
    read(value) {
      const ns = (value as bigint) * unitNs;
      if (ns % 1000n !== 0n) throw new RowReject("the time is finer than microseconds");
      const us = ns / 1000n;
      if (us >= BigInt(FIRST_DAY) * DAY_US && us < BigInt(LAST_DAY + 1) * DAY_US) return us;
      throw new RowReject(`${us} µs since 1970 is not in the years 0001 to 9999`);
    },
    write(value) {
      const ns = (value as bigint) * 1000n;
      if (ns % unitNs !== 0n)
        throw new RowReject(`the time ${quoted(instantText(value as bigint))} is finer than the field`);
      return ns / unitNs;
    },
  };
}

function decimalText(unscaled: bigint, scale: number): string {
  if (scale === 0) return String(unscaled);
  const digits = String(unscaled < 0n ? -unscaled : unscaled).padStart(scale + 1, "0");
  return `${unscaled < 0n ? "-" : ""}${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
}

function dayText(days: number): string {
  return new Date(days * 86_400_000).toISOString().slice(0, 10);
}

function instantText(us: bigint): string {
  const fraction = ((us % 1_000_000n) + 1_000_000n) % 1_000_000n;
  const seconds = new Date(Number((us - fraction) / 1000n)).toISOString().slice(0, 19);
  return `${seconds}.${String(fraction).padStart(6, "0")}Z`;
}
