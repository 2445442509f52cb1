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
import { cellOf } from "./cell-value.ts";
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
        const value = cellOf(column, inner, row);
        if (value !== undefined) init[inner.localName] = value;
      }
      rows.push(create(field.message, init));
    }
    batch.boxes[place.box]!.push({ row: 0, value: rows });
    yield;
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
  if (rows === 0 && bytes.length === 0) return;
  const width = bytes.length / rows;
  const read = numberReader(codec, width);
  if (read === undefined) throw new Error(`${field.name}: ${bytes.length} bytes of numbers for ${rows} rows`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let from = 0; from < rows; from += ROWS_PER_SLICE) {
    if (from > 0) yield;
    read(view, column, from, Math.min(rows, from + ROWS_PER_SLICE));
  }
}

type ReadNumbers = (view: DataView, column: Column, from: number, to: number) => void;

/** Undefined where a type does not have numbers of that width. */
function numberReader(codec: ScalarType, width: number): ReadNumbers | undefined {
  switch (codec) {
    case ScalarType.BOOL:
      return width === 1 ? readBools : undefined;
    case ScalarType.DOUBLE:
      return width === 8 ? readDoubles : undefined;
    case ScalarType.FLOAT:
      return width === 4 ? readFloats : undefined;
    case ScalarType.INT64:
    case ScalarType.SINT64:
    case ScalarType.SFIXED64:
      return width === 4 ? readSigned : width === 8 ? readLongs(true) : undefined;
    case ScalarType.UINT64:
    case ScalarType.FIXED64:
      return width === 4 ? readUnsigned : width === 8 ? readLongs(false) : undefined;
    case ScalarType.UINT32:
    case ScalarType.FIXED32:
      return width === 4 ? readUnsigned : undefined;
    default:
      return width === 4 ? readSigned : undefined;
  }
}

function readBools(view: DataView, { values }: Column, from: number, to: number): void {
  for (let row = from; row < to; row++) values[row] = view.getUint8(row) === 0 ? 0 : 1;
}

function readDoubles(view: DataView, { values }: Column, from: number, to: number): void {
  for (let row = from; row < to; row++) values[row] = view.getFloat64(8 * row, true);
}

function readFloats(view: DataView, { values }: Column, from: number, to: number): void {
  for (let row = from; row < to; row++) values[row] = view.getFloat32(4 * row, true);
}

function readSigned(view: DataView, { values }: Column, from: number, to: number): void {
  for (let row = from; row < to; row++) values[row] = view.getInt32(4 * row, true);
}

function readUnsigned(view: DataView, { values }: Column, from: number, to: number): void {
  for (let row = from; row < to; row++) values[row] = view.getUint32(4 * row, true);
}

function readLongs(isSigned: boolean): ReadNumbers {
  return (view, column, from, to) => {
    for (let row = from; row < to; row++) {
      setLong(column, row, view.getInt32(8 * row, true), view.getInt32(8 * row + 4, true), isSigned);
    }
  };
}

function* readTexts(
  { texts, ends: endBytes, codes: codeBytes }: ColumnValues,
  isText: boolean,
  field: DescField,
  rows: number,
  column: Column,
): Slices<void> {
  if (endBytes.length % 4 !== 0) throw new Error(`${field.name}: ${endBytes.length} bytes of ends`);
  if (isText && !isUtf8(texts)) throw new Error(`${field.name}: a string that is not UTF-8`);
  const view = new DataView(endBytes.buffer, endBytes.byteOffset, endBytes.byteLength);
  const count = endBytes.length / 4;
  const isDirect = codeBytes.length === 0;
  if (isDirect && count !== rows) throw new Error(`${field.name}: ${count} texts for ${rows} rows`);
  column.readFrom(texts);
  const starts = isDirect ? column.start : new Int32Array(count);
  const ends = isDirect ? column.end : new Int32Array(count);
  let before = 0;
  for (let at = 0; at < count; at++) {
    const end = view.getUint32(4 * at, true);
    if (end < before || end > texts.length) throw new Error(`${field.name}: a text ends at ${end} of ${texts.length}`);
    // In the middle of a character both sides of the cut would be none.
    if (isText && end < texts.length && (texts[end]! & 0xc0) === 0x80) {
      throw new Error(`${field.name}: a string that is not UTF-8`);
    }
    starts[at] = before;
    ends[at] = end;
    before = end;
    if (at % ROWS_PER_SLICE === ROWS_PER_SLICE - 1) yield;
  }
  if (!isDirect) yield* readCodes(codeBytes, { starts, ends }, field, rows, column);
}

function* readCodes(
  bytes: Uint8Array,
  dictionary: { readonly starts: Int32Array; readonly ends: Int32Array },
  field: DescField,
  rows: number,
  { start, end }: Column,
): Slices<void> {
  if (bytes.length !== 4 * rows) throw new Error(`${field.name}: ${bytes.length} bytes of codes for ${rows} rows`);
  const { starts, ends } = dictionary;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let row = 0; row < rows; row++) {
    const code = view.getUint32(4 * row, true);
    if (code >= ends.length) throw new Error(`${field.name}: entry ${code} of ${ends.length}`);
    start[row] = starts[code]!;
    end[row] = ends[code]!;
    if (row % ROWS_PER_SLICE === ROWS_PER_SLICE - 1) yield;
  }
}
