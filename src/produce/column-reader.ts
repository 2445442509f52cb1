import type { DuckDBDataChunk } from "@duckdb/node-api";
import type { JsonText } from "./json-text.ts";
import type { ColumnKind } from "./table-column.ts";
import { parseTimestampMs } from "./timestamp-text.ts";
import { vectorBytes, vectorMemory } from "./vector-memory.ts";

/** One column of one chunk. */
export interface ColumnReader {
  isNull(row: number): boolean;
  /** The value as JSON; not for null. Throws `BadValue`. */
  writeJson(row: number, text: JsonText): void;
  /** The text of a string, for a key; other kinds' keys are their JSON text. */
  readonly stringBytes?: (row: number) => Uint8Array;
  /** The record's timestamp from this column, where the type can be one. Throws `BadValue`. */
  readonly timestampMs?: (row: number) => number;
}

/** A value that cannot be loaded; the caller knows the row. */
export class BadValue extends Error {}

const QUOTE = 0x22;
const TWO_32 = 2 ** 32;
const INFINITE_64 = 2n ** 63n - 1n;
const INFINITE_DATE = 2 ** 31 - 1;
/** The number grammar of JSON. */
const JSON_NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;
/** So many significant digits survive a double and back. */
const DOUBLE_DIGITS = 15;

export function readColumn(chunk: DuckDBDataChunk, index: number, kind: ColumnKind): ColumnReader {
  switch (kind) {
    case "integer":
      return integerReader(chunk, index);
    case "double":
      return doubleReader(chunk, index);
    case "boolean":
      return booleanReader(chunk, index);
    case "timestamp":
      return timestampReader(chunk, index, { perSecond: 1_000_000n, digits: 6 });
    case "timestamp ns":
      return timestampReader(chunk, index, { perSecond: 1_000_000_000n, digits: 9 });
    case "date":
      return dateReader(chunk, index);
    case "digits":
    case "json":
      return textReader(chunk, index, (bytes, text) => text.raw(bytes));
    case "number text":
      return textReader(chunk, index, writeNumberText);
    case "string":
      return stringReader(chunk, index);
    default:
      throw new Error(kind satisfies never);
  }
}

function integerReader(chunk: DuckDBDataChunk, index: number): ColumnReader {
  const { items, isValid } = vectorMemory(chunk, index, BigInt64Array);
  const small = smallIntegers(items);
  return {
    isNull: (row) => !isValid(row),
    writeJson(row, text) {
      const value = small(row);
      if (value === undefined) text.ascii(String(items[row]));
      else text.integer(value);
    },
  };
}

function doubleReader(chunk: DuckDBDataChunk, index: number): ColumnReader {
  const { items, isValid } = vectorMemory(chunk, index, Float64Array);
  return { isNull: (row) => !isValid(row), writeJson: (row, text) => writeDouble(items[row]!, text) };
}

function booleanReader(chunk: DuckDBDataChunk, index: number): ColumnReader {
  const vector = chunk.getColumnVector(index);
  return {
    isNull: (row) => vector.getItem(row) === null,
    writeJson: (row, text) => text.ascii(vector.getItem(row) === true ? "true" : "false"),
  };
}

function timestampReader(
  chunk: DuckDBDataChunk,
  index: number,
  { perSecond, digits }: { readonly perSecond: bigint; readonly digits: number },
): ColumnReader {
  const { items, isValid } = vectorMemory(chunk, index, BigInt64Array);
  const small = smallIntegers(items);
  const unit = Number(perSecond);
  const split = (row: number): readonly [seconds: number, fraction: number] => {
    const value = small(row);
    if (value !== undefined) {
      const seconds = Math.floor(value / unit);
      return [seconds, value - seconds * unit];
    }
    const large = items[row]!;
    if (large >= INFINITE_64 || large <= -INFINITE_64) throw new BadValue("the timestamp is infinite");
    const fraction = ((large % perSecond) + perSecond) % perSecond;
    return [Number((large - fraction) / perSecond), Number(fraction)];
  };
  return {
    isNull: (row) => !isValid(row),
    writeJson(row, text) {
      const [seconds, fraction] = split(row);
      text.byte(QUOTE);
      text.timestamp(seconds, fraction, digits);
      text.byte(QUOTE);
    },
    timestampMs(row) {
      const [seconds, fraction] = split(row);
      return seconds * 1000 + Math.floor(fraction / (unit / 1000));
    },
  };
}

function dateReader(chunk: DuckDBDataChunk, index: number): ColumnReader {
  const { items, isValid } = vectorMemory(chunk, index, Int32Array);
  const dayOf = (row: number) => {
    const day = items[row]!;
    if (Math.abs(day) >= INFINITE_DATE) throw new BadValue("the date is infinite");
    return day;
  };
  return {
    isNull: (row) => !isValid(row),
    writeJson(row, text) {
      const day = dayOf(row);
      text.byte(QUOTE);
      text.date(day);
      text.byte(QUOTE);
    },
    timestampMs: (row) => dayOf(row) * 86_400_000,
  };
}

function textReader(
  chunk: DuckDBDataChunk,
  index: number,
  write: (bytes: Uint8Array, text: JsonText) => void,
): ColumnReader {
  const bytesOf = vectorBytes(chunk, index);
  return { isNull: (row) => bytesOf(row) === null, writeJson: (row, text) => write(bytesOf(row)!, text) };
}

function stringReader(chunk: DuckDBDataChunk, index: number): ColumnReader {
  const bytesOf = vectorBytes(chunk, index);
  return {
    isNull: (row) => bytesOf(row) === null,
    writeJson: (row, text) => text.string(bytesOf(row)!),
    stringBytes: (row) => bytesOf(row)!,
    timestampMs(row) {
      const text = Buffer.from(bytesOf(row)!).toString("utf8");
      const timestampMs = parseTimestampMs(text);
      if (timestampMs !== undefined) return timestampMs;
      throw new BadValue(`${JSON.stringify(text.slice(0, 64))} is not an ISO 8601 timestamp`);
    },
  };
}

/**
 * 64-bit integers by halves: a bigint is made only for those that a double cannot hold. `undefined` means "take the
 * bigint".
 */
function smallIntegers(items: BigInt64Array): (row: number) => number | undefined {
  const halves = new Int32Array(items.buffer, items.byteOffset, 2 * items.length);
  return (row) => {
    const high = halves[2 * row + 1]!;
    if (high >= 0x200000 || high < -0x200000) return undefined;
    return high * TWO_32 + (halves[2 * row]! >>> 0);
  };
}

/** JSON has no words for the last three; protobuf's JSON writes them as strings, and so do we. */
function writeDouble(value: number, text: JsonText): void {
  if (Number.isFinite(value)) text.ascii(Object.is(value, -0) ? "-0" : String(value));
  else text.ascii(Number.isNaN(value) ? '"NaN"' : value > 0 ? '"Infinity"' : '"-Infinity"');
}

function writeNumberText(bytes: Uint8Array, text: JsonText): void {
  const spelled = Buffer.from(bytes).toString("latin1").trim();
  const value = Number(spelled);
  const digits = spelled.replace(/[eE].*$/, "").replace(/\D/g, "").length;
  if (JSON_NUMBER.test(spelled)) text.ascii(spelled);
  // `+1.5` and `.5` are numbers in another spelling; whatever else it is, its text is kept.
  else if (Number.isFinite(value) && digits <= DOUBLE_DIGITS) writeDouble(value, text);
  else text.string(bytes);
}
