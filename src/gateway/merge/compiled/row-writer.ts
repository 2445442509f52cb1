/**
 * From the state of a merge to the bytes of the answer: fields in the order of their numbers, as the library writes
 * them, without message objects.
 */
import { create, toBinary } from "@bufbuild/protobuf";
import { SLICE, type Slices } from "../../../accumulator/sliced-sort.ts";
import { ByteSink } from "../../../wire/byte-sink.ts";
import { fieldWriter } from "../../../wire/message-field.ts";
import { derivedWriter } from "./derived-writer.ts";
import type { Box, Layout, Place, Scope } from "./layout.ts";
import type { OrderedTable, WriteField } from "./ordered-table.ts";
import { tagOf, writeVarint32 } from "./scalar-writer.ts";
import { slotWriter } from "./slot-writer.ts";

type Part =
  | { readonly kind: "plain"; readonly write: WriteField }
  | { readonly kind: "box"; readonly box: Box }
  | { readonly kind: "nested"; readonly tag: Uint8Array; readonly presence: number; readonly parts: readonly Part[] }
  | { readonly kind: "list"; readonly tag: Uint8Array; readonly list: number; readonly parts: readonly Part[] };

/** Pieces are about this large. */
const PIECE_BYTES = 64 * 1024;
/** Groups written between two pauses. */
const GROUPS_PER_SLICE = SLICE;

export class RowWriter {
  readonly #parts: readonly Part[];

  constructor(layout: Layout) {
    this.#parts = partsOf(layout.scope, layout);
  }

  /** The response, which is row 0, in pieces that end between its records. Faults: as `WriteField`. */
  *write(from: OrderedTable): Slices<Uint8Array[]> {
    const sink = new ByteSink();
    const pieces: Uint8Array[] = [];
    yield* from.finishBoxes(0);
    yield* writeSlices(sink, this.#parts, from, () => {
      if (sink.at >= PIECE_BYTES) pieces.push(sink.take());
    });
    const last = sink.end();
    if (last.length > 0) pieces.push(last);
    return pieces;
  }
}

/** Fields of the response: with pauses in its lists; `onRecord` is told where it may be cut. */
function* writeSlices(sink: ByteSink, parts: readonly Part[], from: OrderedTable, onRecord: () => void): Slices<void> {
  for (const part of parts) {
    if (part.kind === "plain") part.write(sink, from, 0);
    else if (part.kind === "box") yield* writeBoxSlices(sink, part.box, from.boxed(0)[part.box.index], onRecord);
    else if (part.kind === "list") {
      const { rows, inner } = from.lists[part.list]!;
      for (let at = 0; at < rows.length; at++) {
        writeDelimited(sink, part.tag, part.parts, inner, rows[at]!);
        if (at % GROUPS_PER_SLICE !== GROUPS_PER_SLICE - 1) continue;
        onRecord();
        yield;
      }
    } else if (from.table.columns[part.presence]!.values[0] === 1) {
      sink.copy(part.tag, 0, part.tag.length);
      const mark = openLength(sink);
      yield* writeSlices(sink, part.parts, from, () => {});
      closeLength(sink, mark);
    }
    onRecord();
  }
}

function writeParts(sink: ByteSink, parts: readonly Part[], from: OrderedTable, row: number): void {
  for (const part of parts) {
    if (part.kind === "plain") part.write(sink, from, row);
    else if (part.kind === "box") writeBox(sink, part.box, from.boxed(row)[part.box.index]);
    else if (part.kind === "nested") {
      if (from.table.columns[part.presence]!.values[row] === 1) writeDelimited(sink, part.tag, part.parts, from, row);
    } else {
      const { rows, starts, inner } = from.lists[part.list]!;
      for (let at = starts[row]!; at < starts[row + 1]!; at++) {
        writeDelimited(sink, part.tag, part.parts, inner, rows[at]!);
      }
    }
  }
}

function writeDelimited(
  sink: ByteSink,
  tag: Uint8Array,
  parts: readonly Part[],
  from: OrderedTable,
  row: number,
): void {
  sink.copy(tag, 0, tag.length);
  const mark = openLength(sink);
  writeParts(sink, parts, from, row);
  closeLength(sink, mark);
}

/** Room for a length of one byte, which is what most need. */
function openLength(sink: ByteSink): number {
  sink.byte(0);
  return sink.at;
}

function closeLength(sink: ByteSink, mark: number): void {
  const length = sink.at - mark;
  if (length < 0x80) {
    sink.bytes[mark - 1] = length;
    return;
  }
  const more = length < 0x4000 ? 1 : length < 0x200000 ? 2 : length < 0x10000000 ? 3 : 4;
  sink.reserve(more);
  sink.bytes.copyWithin(mark + more, mark, sink.at);
  sink.at = mark - 1;
  writeVarint32(sink, length);
  sink.at += length;
}

function writeBox(sink: ByteSink, box: Box, value: unknown): void {
  if (value === undefined) return;
  const message = create(box.message);
  fieldWriter(box.recipe.field)(message, value);
  const bytes = toBinary(box.message, message);
  sink.copy(bytes, 0, bytes.length);
}

/** A list that is not packed is written some elements at a time. */
function* writeBoxSlices(sink: ByteSink, box: Box, value: unknown, onRecord: () => void): Slices<void> {
  const { field } = box.recipe;
  if (!Array.isArray(value) || field.fieldKind !== "list" || field.packed || value.length <= SLICE) {
    writeBox(sink, box, value);
    return;
  }
  for (let start = 0; start < value.length; start += SLICE) {
    writeBox(sink, box, value.slice(start, start + SLICE));
    onRecord();
    yield;
  }
}

function partsOf(scope: Scope, layout: Layout): readonly Part[] {
  return scope.places.map((place) => partOf(place, layout));
}

function partOf(place: Place, layout: Layout): Part {
  switch (place.kind) {
    case "slot":
      return { kind: "plain", write: slotWriter(layout.slots[place.slot]!, place.codec) };
    case "box":
      return { kind: "box", box: layout.boxes[place.box]! };
    case "nested":
      return {
        kind: "nested",
        tag: tagOf(place.field, 2),
        presence: place.presence,
        parts: partsOf(place.scope, layout),
      };
    case "group": {
      const element = layout.lists[place.list]!.layout;
      return { kind: "list", tag: tagOf(place.field, 2), list: place.list, parts: partsOf(element.scope, element) };
    }
    default:
      return { kind: "plain", write: derivedWriter(place, layout) };
  }
}
