/**
 * A reply with its long lists as columns: an element is some numbers in typed arrays, and no bytes say again and again
 * which field comes next. For callers that asked for it (`PARTIAL_FORMAT_COLUMNS`).
 */
import { create, type DescField, ScalarType, toBinary } from "@bufbuild/protobuf";
import { SLICE, type Slices } from "../../accumulator/sliced-sort.ts";
import { type ColumnarList, columnarLists } from "../../merge-plan/columnar-lists.ts";
import type { MethodPlan } from "../../merge-plan/method-plan.ts";
import { hasPresence } from "../../wire/message-field.ts";
import { PieceWriter } from "../../wire/piece-writer.ts";
import { type Fields, partFieldReader } from "./part-field.ts";
import { BYTES_PER_SLICE } from "./slice-bytes.ts";
import {
  type EncodedColumn,
  type EncodedList,
  NO_PIECES,
  type Pieces,
  piecesOf,
  writeColumnarPartial,
} from "./write-columnar-partial.ts";

/** Below this rows are as good. */
const ROWS_MIN = 256;

/** Longs looked at between two pauses. */
const LONGS_PER_SLICE = 32 * SLICE;

/**
 * A `ColumnarPartial` in pieces; undefined where no list of the reply is long enough to be worth it, or flat enough to be one, and
 * where a value is not of its field's type: as a message it is refused, or made one by the rules of messages.
 */
export function* encodeColumns(
  { method, merge }: MethodPlan,
  reply: Fields,
  rowsMin = ROWS_MIN,
): Slices<readonly Uint8Array[] | undefined> {
  if (merge.kind !== "message") return undefined;
  const lists = columnarLists(merge.recipe).filter(({ field }) => lengthOf(reply[field.localName]) >= rowsMin);
  if (lists.length === 0) return undefined;
  const { $typeName: _, ...rest } = reply;
  const bare = { ...rest, ...Object.fromEntries(lists.map(({ field }) => [field.localName, []])) };
  const message = toBinary(method.output, create(method.output, bare as never));
  const written: EncodedList[] = [];
  for (const list of lists) {
    const encoded = yield* encodeList(list, reply[list.field.localName] as readonly Fields[]);
    if (encoded === undefined) return undefined;
    written.push(encoded);
  }
  return yield* writeColumnarPartial(message, written);
}

function lengthOf(list: unknown): number {
  return Array.isArray(list) ? list.length : 0;
}

function* encodeList(list: ColumnarList, elements: readonly Fields[]): Slices<EncodedList | undefined> {
  const columns: EncodedColumn[] = [];
  for (const field of list.columns) {
    const column = yield* encodeColumn(field, elements);
    if (column === undefined) return undefined;
    columns.push(column);
  }
  return { field: list.field.number, rows: elements.length, columns };
}

function* encodeColumn(field: DescField, elements: readonly Fields[]): Slices<EncodedColumn | undefined> {
  const read = partFieldReader(field);
  const column = columnWriter(field, elements.length);
  const present = hasPresence(field) ? new Uint8Array(Math.ceil(elements.length / 8)) : undefined;
  let copied = 0;
  for (const [row, element] of elements.entries()) {
    const value = read(element);
    if (value === undefined) {
      // Only a field with presence may be without a value, and then zero stays.
      if (present === undefined) return undefined;
      column.skip(row);
    } else {
      if (present !== undefined) present[row >>> 3]! |= 1 << (row & 7);
      if (!column.write(row, value)) return undefined;
    }
    if (row % SLICE !== SLICE - 1 && column.copied - copied < BYTES_PER_SLICE) continue;
    copied = column.copied;
    yield;
  }
  const values = yield* column.finish();
  return { field: field.number, present: present === undefined ? NO_PIECES : piecesOf(present), ...values };
}

type Values = Pick<EncodedColumn, "numbers" | "texts" | "ends">;

interface ColumnWriter {
  /** Bytes copied so far. */
  readonly copied: number;
  /** False: the value is not one of the field's type, which would change it without a word. */
  write(row: number, value: unknown): boolean;
  /** There is no value. */
  skip(row: number): void;
  finish(): Slices<Values>;
}

function columnWriter(field: DescField, rows: number): ColumnWriter {
  switch (field.fieldKind === "scalar" ? field.scalar : ScalarType.INT32) {
    case ScalarType.STRING:
      return textWriter(rows, (value, texts) => {
        if (typeof value !== "string") return false;
        texts.text(value);
        return true;
      });
    case ScalarType.BYTES:
      return textWriter(rows, (value, texts) => {
        if (!(value instanceof Uint8Array)) return false;
        texts.add(value);
        return true;
      });
    case ScalarType.BOOL:
      return boolWriter(rows);
    case ScalarType.DOUBLE:
      return numberWriter(new Float64Array(rows), () => true);
    case ScalarType.FLOAT:
      // Rounding is what a float does; that a finite value becomes infinite is not.
      return numberWriter(new Float32Array(rows), (value, kept) => Number.isFinite(kept) || !Number.isFinite(value));
    case ScalarType.UINT32:
    case ScalarType.FIXED32:
      return numberWriter(new Uint32Array(rows), isKept);
    case ScalarType.INT64:
    case ScalarType.SINT64:
    case ScalarType.SFIXED64:
      return longWriter(rows, SIGNED);
    case ScalarType.UINT64:
    case ScalarType.FIXED64:
      return longWriter(rows, UNSIGNED);
    default:
      return numberWriter(new Int32Array(rows), isKept);
  }
}

/** Integers that were cut or wrapped are others than they were. */
const isKept = (value: number, kept: number) => value === kept;

function numberWriter(
  numbers: Int32Array | Uint32Array | Float32Array | Float64Array,
  isGood: (value: number, kept: number) => boolean,
): ColumnWriter {
  return {
    write(row, value) {
      if (typeof value !== "number") return false;
      numbers[row] = value;
      return isGood(value, numbers[row]!);
    },
    copied: 0,
    skip: () => {},
    finish: () => numbersAlone(numbers),
  };
}

function boolWriter(rows: number): ColumnWriter {
  const bits = new Uint8Array(rows);
  return {
    write(row, value) {
      bits[row] = value === true ? 1 : 0;
      return typeof value === "boolean";
    },
    copied: 0,
    skip: () => {},
    finish: () => numbersAlone(bits),
  };
}

interface LongType {
  /** `high`: what is above the low 32 bits, of any size. */
  isInRange(high: number): boolean;
  /** The low 32 bits, read as the type's short form, are the value. */
  isShort(low: number, high: number): boolean;
}

const SIGNED: LongType = { isInRange: (high) => high === (high | 0), isShort: (low, high) => high === low >> 31 };
const UNSIGNED: LongType = { isInRange: (high) => high === high >>> 0, isShort: (_low, high) => high === 0 };

/** In half the bytes where all of them are short. */
function longWriter(rows: number, { isInRange, isShort }: LongType): ColumnWriter {
  const words = new Int32Array(2 * rows);
  let areShort = true;
  return {
    write(row, value) {
      if (typeof value !== "bigint") return false;
      const low = Number(BigInt.asIntN(32, value));
      const high = Number(value >> 32n);
      if (!isInRange(high)) return false;
      words[2 * row] = low;
      words[2 * row + 1] = high;
      areShort &&= isShort(low, high);
      return true;
    },
    copied: 0,
    skip: () => {},
    *finish() {
      return yield* numbersAlone(areShort ? yield* lowWords(words) : words);
    },
  };
}

function* lowWords(words: Int32Array): Slices<Int32Array> {
  const low = new Int32Array(words.length / 2);
  for (let row = 0; row < low.length; row++) {
    low[row] = words[2 * row]!;
    if (row % LONGS_PER_SLICE === LONGS_PER_SLICE - 1) yield;
  }
  return low;
}

function textWriter(rows: number, append: (value: unknown, texts: PieceWriter) => boolean): ColumnWriter {
  const texts = new PieceWriter();
  const ends = new Uint32Array(rows);
  return {
    get copied() {
      return texts.copied;
    },
    write(row, value) {
      const isGood = append(value, texts);
      ends[row] = texts.size;
      return isGood;
    },
    skip(row) {
      ends[row] = texts.size;
    },
    // biome-ignore lint/correctness/useYield: there is nothing to pause for
    *finish() {
      const { size } = texts;
      return { numbers: NO_PIECES, texts: { pieces: texts.end(), size }, ends: bytesOf(ends) };
    },
  };
}

type Numbers = Uint8Array | Int32Array | Uint32Array | Float32Array | Float64Array;

// biome-ignore lint/correctness/useYield: there is nothing to pause for
function* numbersAlone(numbers: Numbers): Slices<Values> {
  return { numbers: bytesOf(numbers), texts: NO_PIECES, ends: NO_PIECES };
}

function bytesOf({ buffer, byteOffset, byteLength }: Numbers): Pieces {
  return piecesOf(new Uint8Array(buffer, byteOffset, byteLength));
}
