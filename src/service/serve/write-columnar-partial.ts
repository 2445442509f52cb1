/**
 * A `ColumnarPartial` from columns that are there: lengths are worked out first, so that large columns need not be copied
 * into the message around them. The bytes are those that the library would write.
 */
import type { Slices } from "../../accumulator/sliced-sort.ts";
import { bytesSize, messageSize, numberSize } from "../../wire/converse/wire-writer.ts";
import { PieceWriter } from "../../wire/piece-writer.ts";
import { BYTES_PER_SLICE } from "./slice-bytes.ts";

const PARTIAL_TAG = { message: 0x0a, lists: 0x12 };
const LIST_TAG = { field: 0x08, rows: 0x10, columns: 0x1a };
const COLUMN_TAG = { field: 0x08, present: 0x12, numbers: 0x1a, texts: 0x22, ends: 0x2a };

/** Bytes in pieces, and how many they are. */
export interface Pieces {
  readonly pieces: readonly Uint8Array[];
  readonly size: number;
}

export const NO_PIECES: Pieces = { pieces: [], size: 0 };

/** As `ColumnValues` says; without a dictionary. */
export interface EncodedColumn {
  readonly field: number;
  readonly present: Pieces;
  readonly numbers: Pieces;
  readonly texts: Pieces;
  readonly ends: Pieces;
}

export interface EncodedList {
  readonly field: number;
  readonly rows: number;
  readonly columns: readonly EncodedColumn[];
}

export function* writeColumnarPartial(
  message: Uint8Array,
  lists: readonly EncodedList[],
): Slices<readonly Uint8Array[]> {
  const sizes = lists.map(listSize);
  const size = sizes.reduce((sum, list) => sum + messageSize(list), bytesSize(message.length));
  const out = new PieceWriter(size);
  yield* writeBytes(out, PARTIAL_TAG.message, piecesOf(message));
  for (const [index, { field, rows, columns }] of lists.entries()) {
    out.number(PARTIAL_TAG.lists, sizes[index]!);
    out.number(LIST_TAG.field, field);
    if (rows > 0) out.number(LIST_TAG.rows, rows);
    for (const column of columns) {
      out.number(LIST_TAG.columns, columnSize(column));
      out.number(COLUMN_TAG.field, column.field);
      yield* writeBytes(out, COLUMN_TAG.present, column.present);
      yield* writeBytes(out, COLUMN_TAG.numbers, column.numbers);
      yield* writeBytes(out, COLUMN_TAG.texts, column.texts);
      yield* writeBytes(out, COLUMN_TAG.ends, column.ends);
    }
  }
  return out.end();
}

export function piecesOf(bytes: Uint8Array): Pieces {
  return { pieces: [bytes], size: bytes.length };
}

function listSize({ field, rows, columns }: EncodedList): number {
  return columns.reduce((sum, column) => sum + messageSize(columnSize(column)), numberSize(field) + numberSize(rows));
}

function columnSize({ field, present, numbers, texts, ends }: EncodedColumn): number {
  return (
    numberSize(field) + bytesSize(present.size) + bytesSize(numbers.size) + bytesSize(texts.size) + bytesSize(ends.size)
  );
}

function* writeBytes(out: PieceWriter, tag: number, { pieces, size }: Pieces): Slices<void> {
  if (size === 0) return;
  out.number(tag, size);
  let from = out.copied;
  for (const piece of pieces) {
    out.add(piece);
    if (out.copied - from < BYTES_PER_SLICE) continue;
    from = out.copied;
    yield;
  }
}
