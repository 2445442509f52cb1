/**
 * Partials that come as columns: the same batches as from rows. Everything is held against the number of rows before
 * anything is read, so that a column that lies about itself is a bad partial and never a value from somewhere else.
 */
import { isUtf8 } from "node:buffer";
import { create, type DescField, fromBinary, ScalarType } from "@bufbuild/protobuf";
import type { Slices } from "../../../accumulator/sliced-sort.ts";
import { SLICE } from "../../../accumulator/sliced-sort.ts";
import {
  type ColumnarPartial,
  ColumnarPartialSchema,
  type ColumnList,
  type ColumnValues,
} from "../../../wire/generated/skynetes/v1/columns_pb.ts";
import { hasPresence } from "../../../wire/message-field.ts";
import type { Batch } from "./batch.ts";
import { Column } from "./column.ts";
import type { Place } from "./layout.ts";
import { type RowDecoder, setLong } from "./row-decoder.ts";

const ROWS_PER_SLICE = 16_384;

/** Fails with an `Error` that says what is wrong. */
export function* decodeColumns(bytes: Uint8Array, decoder: RowDecoder, batch: Batch): Slices<void> {
  const partial: ColumnarPartial = fromBinary(ColumnarPartialSchema, bytes);
  yield* decoder.decode(partial.message, batch);
  const places = new Map(decoder.layout.scope.places.map((place) => [place.field.number, place]));
  const seen = new Set<number>();
  for (const list of partial.lists) {
    const place = places.get(list.field);
    if (place === undefined) throw new Error(`columns of field ${list.field}, which the response does not have`);
    if (seen.has(list.field)) throw new Error(`columns of ${place.field.name} twice`);
    seen.add(list.field);
    if (list.rows > 0 && list.columns.length === 0)
      throw new Error(`${list.rows} rows of ${place.field.name} without columns`);
    if (place.kind === "group") yield* readGroups(list, batch.lists[place.list]!);
    else if (place.kind === "box") yield* readRows(list, place, batch);
    else throw new Error(`columns of ${place.field.name}, which is no list of messages`);
  }
}

function* readGroups(list: ColumnList, batch: Batch): Slices<void> {
  if (batch.rows > 0) throw new Error(`columns of field ${list.field}, which has rows besides`);
  const { layout } = batch;
  const byNumber = new Map(list.columns.map((values) => [values.field, values]));
  if (byNumber.size < list.columns.length) throw new Error(`a field of ${list.field} has two columns`);
  for (const values of list.columns) checkSize(list, values);
  batch.addRows(list.rows);
  for (const place of layout.scope.places) {
    const values = byNumber.get(place.field.number);
    if (values === undefined) continue;
    if (place.kind === "avg" || place.kind === "count-of") continue;
    if (place.kind !== "slot") throw new Error(`a column of ${place.field.name}, which has no columns`);
    yield* readColumn(values, place.field, place.codec, list.rows, batch.columns[place.slot]!);
  }
}

/** Rows that are kept as messages. */
function* readRows(list: ColumnList, place: Extract<Place, { kind: "box" }>, batch: Batch): Slices<void> {
  const { field } = place;
  if (field.fieldKind !== "list" || field.message === undefined)
    throw new Error(`columns of ${field.name}, which is no list of messages`);
  const byNumber = new Map(field.message.fields.map((one) => [one.number, one]));
  const columns: { readonly field: DescField; readonly column: Column }[] = [];
  for (const values of list.columns) {
    checkSize(list, values);
    const inner = byNumber.get(values.field);
    if (inner === undefined) continue;
    const codec = columnCodec(inner);
    if (codec === undefined) throw new Error(`a column of ${inner.name}, which has no columns`);
    if (columns.some((one) => one.field === inner)) throw new Error(`${inner.name} has two columns`);
    const column = new Column(columnType(codec), hasPresence(inner));
    column.grow(list.rows);
    yield* readColumn(values, inner, codec, list.rows, column);
    columns.push({ field: inner, column });
  }
  for (let from = 0; from < list.rows; from += SLICE) {
    const rows = [];
    for (let row = from; row < Math.min(list.rows, from + SLICE); row++) {
      const init: Record<string, unknown> = {};
      for (const { field: inner, column } of columns) {
        const value = cellOf(inner, column, row);
        if (value !== undefined) init[inner.localName] = value;
      }
      rows.push(create(field.message, init));
    }
    batch.boxes[place.box]!.push({ row: 0, value: rows });
    yield;
  }
}

function cellOf(field: DescField, column: Column, row: number): unknown {
  if (column.has.length > 0 && column.has[row] === 0) return undefined;
  switch (field.fieldKind === "scalar" ? field.scalar : ScalarType.INT32) {
    case ScalarType.STRING:
      return column.text(row).toString();
    case ScalarType.BYTES:
      return column.text(row);
    case ScalarType.BOOL:
      return column.values[row] === 1;
    case ScalarType.INT64:
    case ScalarType.UINT64:
    case ScalarType.SINT64:
    case ScalarType.FIXED64:
    case ScalarType.SFIXED64:
      return column.integer(row);
    default:
      return column.values[row];
  }
}

function columnCodec(field: DescField): ScalarType | undefined {
  if (field.oneof !== undefined) return undefined;
  if (field.fieldKind === "enum") return ScalarType.INT32;
  return field.fieldKind === "scalar" ? field.scalar : undefined;
}

function columnType(codec: ScalarType): "integer" | "real" | "text" {
  if (codec === ScalarType.STRING || codec === ScalarType.BYTES) return "text";
  return codec === ScalarType.DOUBLE || codec === ScalarType.FLOAT ? "real" : "integer";
}

/** Every column has something for every row, so the number of rows is no more than what was sent. */
function checkSize({ rows }: ColumnList, { field, present, numbers, ends, codes }: ColumnValues): void {
  if (present.length !== 0 && present.length !== Math.ceil(rows / 8)) {
    throw new Error(`column ${field}: ${present.length} bytes of presence for ${rows} rows`);
  }
  const perRow = numbers.length > 0 ? numbers : codes.length > 0 ? codes : ends;
  if (perRow.length < rows) throw new Error(`column ${field}: ${perRow.length} bytes for ${rows} rows`);
}

function* readColumn(
  values: ColumnValues,
  field: DescField,
  codec: ScalarType,
  rows: number,
  column: Column,
): Slices<void> {
  if (column.has.length > 0) readPresence(values.present, rows, column.has);
  else if (values.present.length > 0) throw new Error(`${field.name}: presence of a field that has none`);
  if (columnType(codec) === "text") yield* readTexts(values, codec === ScalarType.STRING, field, rows, column);
  else yield* readNumbers(values.numbers, codec, field, rows, column);
}

function readPresence(present: Uint8Array, rows: number, has: Uint8Array): void {
  if (present.length === 0) has.fill(1, 0, rows);
  else for (let row = 0; row < rows; row++) has[row] = (present[row >>> 3]! >>> (row & 7)) & 1;
}

function* readNumbers(
  bytes: Uint8Array,
  codec: ScalarType,
  field: DescField,
  rows: number,
  column: Column,
): Slices<void> {
  const { values } = column;
  const wrong = () => new Error(`${field.name}: ${bytes.length} bytes of numbers for ${rows} rows`);
  if (rows === 0 && bytes.length === 0) return;
  const width = bytes.length / rows;
  switch (codec) {
    case ScalarType.BOOL:
      if (width !== 1) throw wrong();
      for (let row = 0; row < rows; row++) values[row] = bytes[row] === 0 ? 0 : 1;
      return;
    case ScalarType.DOUBLE:
      if (width !== 8) throw wrong();
      values.set(new Float64Array(aligned(bytes)));
      return;
    case ScalarType.FLOAT:
      if (width !== 4) throw wrong();
      values.set(new Float32Array(aligned(bytes)));
      return;
    case ScalarType.INT64:
    case ScalarType.SINT64:
    case ScalarType.SFIXED64:
      if (width === 4) values.set(new Int32Array(aligned(bytes)));
      else if (width === 8) yield* readLongs(new Int32Array(aligned(bytes)), true, rows, column);
      else throw wrong();
      return;
    case ScalarType.UINT64:
    case ScalarType.FIXED64:
      if (width === 4) values.set(new Uint32Array(aligned(bytes)));
      else if (width === 8) yield* readLongs(new Int32Array(aligned(bytes)), false, rows, column);
      else throw wrong();
      return;
    default:
      if (width !== 4) throw wrong();
      values.set(isUnsigned(codec) ? new Uint32Array(aligned(bytes)) : new Int32Array(aligned(bytes)));
  }
}

function isUnsigned(codec: ScalarType): boolean {
  return codec === ScalarType.UINT32 || codec === ScalarType.FIXED32;
}

function* readLongs(words: Int32Array, isSigned: boolean, rows: number, column: Column): Slices<void> {
  for (let row = 0; row < rows; row++) {
    setLong(column, row, words[2 * row]!, words[2 * row + 1]!, isSigned);
    if (row % ROWS_PER_SLICE === ROWS_PER_SLICE - 1) yield;
  }
}

/** Typed arrays begin at multiples of their width, fields of a message anywhere. */
function aligned(bytes: Uint8Array): ArrayBuffer {
  return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer;
}

function* readTexts(
  { texts, ends: endBytes, codes: codeBytes }: ColumnValues,
  isText: boolean,
  field: DescField,
  rows: number,
  column: Column,
): Slices<void> {
  if (endBytes.length % 4 !== 0) throw new Error(`${field.name}: ${endBytes.length} bytes of ends`);
  const ends = new Uint32Array(aligned(endBytes));
  if (isText && !isUtf8(texts)) throw new Error(`${field.name}: a string that is not UTF-8`);
  let before = 0;
  for (const end of ends) {
    if (end < before || end > texts.length) throw new Error(`${field.name}: a text ends at ${end} of ${texts.length}`);
    // In the middle of a character both sides of the cut would be none.
    if (isText && end < texts.length && (texts[end]! & 0xc0) === 0x80)
      throw new Error(`${field.name}: a string that is not UTF-8`);
    before = end;
  }
  yield;
  column.bytes = texts;
  const { start, end } = column;
  if (codeBytes.length === 0) {
    if (ends.length !== rows) throw new Error(`${field.name}: ${ends.length} texts for ${rows} rows`);
    end.set(ends);
    start.set(ends.subarray(0, Math.max(0, rows - 1)), 1);
    if (rows > 0) start[0] = 0;
    return;
  }
  if (codeBytes.length !== 4 * rows)
    throw new Error(`${field.name}: ${codeBytes.length} bytes of codes for ${rows} rows`);
  const codes = new Uint32Array(aligned(codeBytes));
  for (let row = 0; row < rows; row++) {
    const code = codes[row]!;
    if (code >= ends.length) throw new Error(`${field.name}: entry ${code} of ${ends.length}`);
    start[row] = code === 0 ? 0 : ends[code - 1]!;
    end[row] = ends[code]!;
    if (row % ROWS_PER_SLICE === ROWS_PER_SLICE - 1) yield;
  }
}
