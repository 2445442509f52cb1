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

/** A `ColumnarPartial`; undefined where no list of the reply is long enough to be worth it, or flat enough to be one. */
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
  for (const list of lists) written.push(yield* encodeList(list, reply[list.field.localName] as readonly Fields[]));
  return toBinary(ColumnarPartialSchema, create(ColumnarPartialSchema, { message, lists: written }));
}

function lengthOf(list: unknown): number {
  return Array.isArray(list) ? list.length : 0;
}

function* encodeList(
  list: ColumnarList,
  elements: readonly Fields[],
): Slices<MessageInitShape<typeof ColumnListSchema>> {
  const columns: ColumnsInit[] = [];
  for (const field of list.columns) columns.push(yield* encodeColumn(field, elements));
  return { field: list.field.number, rows: elements.length, columns };
}

function* encodeColumn(field: DescField, elements: readonly Fields[]): Slices<ColumnsInit> {
  const read = partFieldReader(field);
  const column = columnWriter(field, elements.length);
  const present = hasPresence(field) ? new Uint8Array(Math.ceil(elements.length / 8)) : undefined;
  for (const [row, element] of elements.entries()) {
    const value = read(element);
    if (present !== undefined && value !== undefined) present[row >>> 3]! |= 1 << (row & 7);
    column.write(row, value);
    if (row % SLICE === SLICE - 1) yield;
  }
  return { field: field.number, ...column.finish(), ...(present === undefined ? {} : { present }) };
}

interface ColumnWriter {
  /** `undefined`: there is no value, and zero is written. */
  write(row: number, value: unknown): void;
  finish(): ColumnsInit;
}

function columnWriter(field: DescField, rows: number): ColumnWriter {
  switch (field.fieldKind === "scalar" ? field.scalar : ScalarType.INT32) {
    case ScalarType.STRING:
    case ScalarType.BYTES:
      return textWriter(rows);
    case ScalarType.BOOL:
      return numberWriter(new Uint8Array(rows));
    case ScalarType.DOUBLE:
      return numberWriter(new Float64Array(rows));
    case ScalarType.FLOAT:
      return numberWriter(new Float32Array(rows));
    case ScalarType.UINT32:
    case ScalarType.FIXED32:
      return numberWriter(new Uint32Array(rows));
    case ScalarType.INT64:
    case ScalarType.SINT64:
    case ScalarType.SFIXED64:
      return longWriter(rows, (low, high) => high === low >> 31);
    case ScalarType.UINT64:
    case ScalarType.FIXED64:
      return longWriter(rows, (_low, high) => high === 0);
    default:
      return numberWriter(new Int32Array(rows));
  }
}

function numberWriter(numbers: Uint8Array | Int32Array | Uint32Array | Float32Array | Float64Array): ColumnWriter {
  return {
    write(row, value) {
      if (value !== undefined) numbers[row] = Number(value);
    },
    finish: () => ({ numbers: bytesOf(numbers) }),
  };
}

/** In half the bytes where all of them are short. */
function longWriter(rows: number, isShort: (low: number, high: number) => boolean): ColumnWriter {
  const words = new Int32Array(2 * rows);
  let areShort = true;
  return {
    write(row, value) {
      if (value === undefined) return;
      const low = Number(BigInt.asIntN(32, value as bigint));
      const high = Number(BigInt.asIntN(32, (value as bigint) >> 32n));
      words[2 * row] = low;
      words[2 * row + 1] = high;
      areShort &&= isShort(low, high);
    },
    finish: () => ({ numbers: bytesOf(areShort ? words.filter((_, index) => index % 2 === 0) : words) }),
  };
}

function textWriter(rows: number): ColumnWriter {
  const texts = new ByteSink();
  const ends = new Uint32Array(rows);
  return {
    write(row, value) {
      if (typeof value === "string") texts.text(value);
      else if (value instanceof Uint8Array) texts.copy(value, 0, value.length);
      ends[row] = texts.at;
    },
    finish: () => ({ texts: texts.end(), ends: bytesOf(ends) }),
  };
}

function bytesOf({
  buffer,
  byteOffset,
  byteLength,
}: Uint8Array | Int32Array | Uint32Array | Float32Array | Float64Array) {
  return new Uint8Array(buffer as ArrayBuffer, byteOffset, byteLength);
}
