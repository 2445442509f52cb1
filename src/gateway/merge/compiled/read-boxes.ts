/**
 * Fields whose values stay what the library makes of them (messages, Decimals, lists, maps): their records are
 * gathered, row by row, and decoded by the library, so that packed, split and repeated records mean here what they mean
 * there.
 */
import { type DescField, fromBinary, ScalarType } from "@bufbuild/protobuf";
import { SLICE, type Slices } from "../../../accumulator/sliced-sort.ts";
import { fieldReader, setFieldReader } from "../../../wire/message-field.ts";
import { KNOWN_FIELDS } from "../decode-partial.ts";
import type { BoxedValue } from "./batch.ts";
import type { Box } from "./layout.ts";
import type { WireReader } from "./wire-reader.ts";

/** Records decoded at once. */
const PIECE_BYTES = 64 * 1024;

/** Where the records of one box are in a partial, row by row. */
export class BoxRecords {
  readonly box: Box;
  readonly rows: number[] = [];
  readonly starts: number[] = [];
  readonly ends: number[] = [];

  constructor(box: Box) {
    this.box = box;
  }

  add(row: number, start: number, end: number): void {
    this.rows.push(row);
    this.starts.push(start);
    this.ends.push(end);
  }
}

export function* readBoxes(bytes: Uint8Array, records: BoxRecords, into: BoxedValue[]): Slices<void> {
  const { message, recipe } = records.box;
  const { field } = recipe;
  const read = recipe.kind === "first" ? setFieldReader(field) : fieldReader(field);
  const isList = field.fieldKind === "list";
  // A value of `first` is a whole list, other lists may come piece by piece.
  const isCut = isList && recipe.kind !== "first";
  const { rows, starts, ends } = records;
  let decoded = 0;
  for (let from = 0, to = 0; from < rows.length; from = to) {
    const row = rows[from]!;
    let size = 0;
    for (; to < rows.length && rows[to] === row; to++) {
      size += ends[to]! - starts[to]!;
      if (isCut && (to - from >= SLICE || size >= PIECE_BYTES)) break;
    }
    if (to === from) to += 1;
    const value = read(fromBinary(message, gathered(bytes, records, from, to), KNOWN_FIELDS));
    if (value !== undefined && !(isList && (value as readonly unknown[]).length === 0)) into.push({ row, value });
    decoded += to - from;
    if (decoded < SLICE) continue;
    decoded = 0;
    yield;
  }
}

/** Without a copy where the records follow each other, as they nearly always do. */
function gathered(bytes: Uint8Array, { starts, ends }: BoxRecords, from: number, to: number): Uint8Array {
  let isRun = true;
  for (let at = from + 1; at < to; at++) isRun &&= starts[at] === ends[at - 1];
  if (isRun) return bytes.subarray(starts[from], ends[to - 1]);
  const parts: Uint8Array[] = [];
  for (let at = from; at < to; at++) parts.push(bytes.subarray(starts[at], ends[at]));
  return Buffer.concat(parts);
}

/** Moves the reader behind the record whose tag it has read. */
export function passRecord(reader: WireReader, field: DescField, tag: number, limit: number): void {
  const isLengthRead =
    field.message !== undefined ||
    field.fieldKind === "map" ||
    field.scalar === ScalarType.STRING ||
    field.scalar === ScalarType.BYTES ||
    (field.fieldKind === "list" && (tag & 7) === 2);
  if (isLengthRead) {
    const end = reader.lengthEnd(limit);
    reader.at = end;
    return;
  }
  switch (field.scalar) {
    case ScalarType.DOUBLE:
    case ScalarType.FIXED64:
    case ScalarType.SFIXED64:
      reader.double();
      break;
    case ScalarType.FLOAT:
    case ScalarType.FIXED32:
    case ScalarType.SFIXED32:
      reader.float();
      break;
    default:
      reader.varint64();
  }
  if (reader.at > limit) throw new Error("a field reaches beyond its message");
}
