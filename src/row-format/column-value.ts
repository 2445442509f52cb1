import type { ColumnType } from "../mesh/column-type.ts";
import { type ColumnKind, columnKind } from "../mesh/column-type.ts";
import { dateDays, timestampMicros } from "./calendar.ts";
import { quoted, RowReject } from "./row-reject.ts";
import type { RowValue } from "./row-value.ts";

/** How JSON text becomes a value of one column type. Each function throws `RowReject` where the text does not fit. */
export interface ValueParser {
  /** Of a JSON string, unescaped. */
  fromString(text: string): RowValue;
  /** Of a JSON number, as it is written: 64-bit integers and decimals never pass through a double. */
  fromNumber(token: string): RowValue;
  fromBoolean(value: boolean): RowValue;
  /** The column takes integers between -(10^15) and 10^15 as they are, so a reader may skip `fromNumber` for them. */
  readonly smallInteger?: (value: number) => RowValue;
}

export function valueParser(type: ColumnType): ValueParser {
  const refuse = (what: string) => (value: unknown) => {
    throw new RowReject(`${what} ${quoted(String(value))} is no ${type}`);
  };
  const base: ValueParser = {
    fromString: refuse("the string"),
    fromNumber: refuse("the number"),
    fromBoolean: refuse("the boolean"),
  };
  return { ...base, ...parsersOf(columnKind(type), type) };
}

function parsersOf(kind: ColumnKind, type: ColumnType): Partial<ValueParser> {
  switch (kind.kind) {
    case "BOOLEAN":
      return { fromBoolean: (value) => value };
    case "INT32": {
      const parse = (text: string) => Number(integer(text, -(2n ** 31n), 2n ** 31n - 1n, type));
      return { fromString: parse, fromNumber: parse };
    }
    case "INT64": {
      const parse = (text: string) => integer(text, -(2n ** 63n), 2n ** 63n - 1n, type);
      return { fromString: parse, fromNumber: parse, smallInteger: (value) => BigInt(value) };
    }
    case "DOUBLE":
      return { fromNumber: double, smallInteger: (value) => value };
    case "DECIMAL": {
      const parse = (text: string) => decimal(text, kind.precision, kind.scale, type);
      return { fromString: parse, fromNumber: parse };
    }
    case "STRING":
      return { fromString: string };
    case "BYTES":
      return { fromString: bytes };
    case "DATE":
      return { fromString: (text) => dateDays(text) ?? no(text, "a DATE (YYYY-MM-DD)") };
    case "TIMESTAMP":
      return {
        fromString: (text) =>
          timestampMicros(text) ?? no(text, "a TIMESTAMP (ISO 8601 with a zone, at most microseconds)"),
      };
    default:
      kind satisfies never;
      throw new TypeError(`no parser for ${type}`);
  }
}

function no(text: string, what: string): never {
  throw new RowReject(`${quoted(text)} is not ${what}`);
}

const INTEGER = /^-?\d{1,20}$/;

function integer(text: string, least: bigint, greatest: bigint, type: ColumnType): bigint {
  if (!INTEGER.test(text)) return no(text, `an integer for ${type}`);
  const value = BigInt(text);
  if (value < least || value > greatest) throw new RowReject(`${text} does not fit ${type}`);
  return value;
}

function double(token: string): number {
  const value = Number(token);
  if (!Number.isFinite(value)) throw new RowReject(`${quoted(token)} does not fit DOUBLE`);
  return value;
}

const DECIMAL = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d{1,3}))?$/;

/** The unscaled integer: 12.5 as DECIMAL(4,2) is 1250. Digits that the scale would cut must be zeros. */
function decimal(text: string, precision: number, scale: number, type: ColumnType): bigint {
  const match = text.length <= DECIMAL_TEXT_MAX ? DECIMAL.exec(text) : null;
  if (match === null) return no(text, `a decimal for ${type}`);
  const [, sign, whole = "", fraction = "", exponent = "0"] = match;
  const digits = whole + fraction;
  const shift = scale - fraction.length + Number(exponent);
  const kept = shift >= 0 ? digits + "0".repeat(shift) : digits.slice(0, Math.max(0, digits.length + shift));
  const cut = shift >= 0 ? "" : digits.slice(Math.max(0, digits.length + shift));
  if (/[1-9]/.test(cut)) throw new RowReject(`${quoted(text)} has more than ${scale} places for ${type}`);
  const value = BigInt(kept === "" ? "0" : kept);
  if (value >= 10n ** BigInt(precision)) throw new RowReject(`${quoted(text)} does not fit ${type}`);
  return sign === "-" ? -value : value;
}

/** 38 digits, a sign, a point, an exponent and as many zeros again. */
const DECIMAL_TEXT_MAX = 100;

function string(text: string): string {
  // Half of a surrogate pair has no UTF-8; written, it would silently become another character.
  if (!text.isWellFormed()) throw new RowReject(`${quoted(text)} has half of a surrogate pair`);
  return text;
}

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

function bytes(text: string): Uint8Array {
  if (!BASE64.test(text)) return no(text, "base64 for BYTES");
  return Buffer.from(text, "base64");
}
