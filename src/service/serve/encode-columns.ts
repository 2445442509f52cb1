/**
 * A reply with its long lists as columns: an element is some numbers in typed arrays, and no bytes say again and again
 * which field comes next. For callers that asked for it (`PARTIAL_FORMAT_COLUMNS`).
 */
import { create, type DescField, type MessageInitShape, ScalarType, toBinary } from "@bufbuild/protobuf";
import { SLICE, type Slices } from "../../accumulator/sliced-sort.ts";
import { type ColumnarList, columnarLists } from "../../merge-plan/columnar-lists.ts";
import type { MethodPlan } from "../../merge-plan/method-plan.ts";
import { ByteSink } from "../../wire/byte-sink.ts";
import {
  ColumnarPartialSchema,
  type ColumnListSchema,
  type ColumnValuesSchema,
} from "../../wire/generated/skynetes/v1/columns_pb.ts";
import { hasPresence } from "../../wire/message-field.ts";
import { type Fields, partFieldReader } from "./part-field.ts";

/** Below this rows are as good. */
const ROWS_MIN = 256;

type ColumnsInit = MessageInitShape<typeof ColumnValuesSchema>;

/**
 * A `ColumnarPartial`; undefined where no list of the reply is long enough to be worth it, or flat enough to be one, and
 * where a value is not of its field's type: as a message it is refused, or made one by the rules of messages.
 */
export function* encodeColumns(
  { method, merge }: MethodPlan,
  reply: Fields,
  rowsMin = ROWS_MIN,
): Slices<Uint8Array | undefined> {
  if (merge.kind !== "message") return undefined;
  const lists = columnarLists(merge.recipe).filter(({ field }) => lengthOf(reply[field.localName]) >= rowsMin);
  if (lists.length === 0) return undefined;
  const { $typeName: _, ...rest } = reply;
  const bare = { ...rest, ...Object.fromEntries(lists.map(({ field }) => [field.localName, []])) };
  const message = toBinary(method.output, create(method.output, bare as MessageInitShape<typeof method.output>));
  const written: MessageInitShape<typeof ColumnListSchema>[] = [];
  for (const list of lists) {
    const encoded = yield* encodeList(list, reply[list.field.localName] as readonly Fields[]);
    if (encoded === undefined) return undefined;
    written.push(encoded);
  }
  return toBinary(ColumnarPartialSchema, create(ColumnarPartialSchema, { message, lists: written }));
}

function lengthOf(list: unknown): number {
  return Array.isArray(list) ? list.length : 0;
}

function* encodeList(
  list: ColumnarList,
  elements: readonly Fields[],
): Slices<MessageInitShape<typeof ColumnListSchema> | undefined> {
  const columns: ColumnsInit[] = [];
  for (const field of list.columns) {
    const column = yield* encodeColumn(field, elements);
    if (column === undefined) return undefined;
    columns.push(column);
  }
  return { field: list.field.number, rows: elements.length, columns };
}

function* encodeColumn(field: DescField, elements: readonly Fields[]): Slices<ColumnsInit | undefined> {
  const read = partFieldReader(field);
  const column = columnWriter(field, elements.length);
  const present = hasPresence(field) ? new Uint8Array(Math.ceil(elements.length / 8)) : undefined;
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
    if (row % SLICE === SLICE - 1) yield;
  }
  return { field: field.number, ...column.finish(), ...(present === undefined ? {} : { present }) };
}

interface ColumnWriter {
  /** False: the value is not one of the field's type, which would change it without a word. */
  write(row: number, value: unknown): boolean;
  /** There is no value. */
  skip(row: number): void;
  finish(): ColumnsInit;
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
        texts.copy(value, 0, value.length);
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
    skip: () => {},
    finish: () => ({ numbers: bytesOf(numbers) }),
  };
}

function boolWriter(rows: number): ColumnWriter {
  const bits = new Uint8Array(rows);
  return {
    write(row, value) {
      bits[row] = value === true ? 1 : 0;
      return typeof value === "boolean";
    },
    skip: () => {},
    finish: () => ({ numbers: bits }),
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
    skip: () => {},
    finish: () => ({ numbers: bytesOf(areShort ? words.filter((_, index) => index % 2 === 0) : words) }),
  };
}

function textWriter(rows: number, append: (value: unknown, texts: ByteSink) => boolean): ColumnWriter {
  const texts = new ByteSink();
  const ends = new Uint32Array(rows);
  return {
    write(row, value) {
      const isGood = append(value, texts);
      ends[row] = texts.at;
      return isGood;
    },
    skip(row) {
      ends[row] = texts.at;
    },
    finish: () => ({ texts: texts.end(), ends: bytesOf(ends) }),
  };
}

function bytesOf({ buffer, byteOffset, byteLength }: Int32Array | Uint32Array | Float32Array | Float64Array) {
  return new Uint8Array(buffer as ArrayBuffer, byteOffset, byteLength);
}
