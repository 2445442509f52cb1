/**
 * From the wire format into the columns of a batch, record by record, without a message object in between.
 *
 * Like the library it goes by field numbers: a field is read as its descriptor says, whatever the record's wire type
 * says. Of scalars the last occurrence counts, nested messages are merged, lists are their occurrences together.
 */
import { isUtf8 } from "node:buffer";
import { type DescField, ScalarType } from "@bufbuild/protobuf";
import { SLICE, type Slices } from "../../../accumulator/sliced-sort.ts";
import type { Batch } from "./batch.ts";
import type { Column } from "./column.ts";
import type { Layout, Place, Scope } from "./layout.ts";
import { BoxRecords, passRecord, readBoxes } from "./read-boxes.ts";
import { WireReader } from "./wire-reader.ts";

type Step =
  | { readonly kind: "slot"; readonly slot: number; readonly codec: ScalarType; readonly isOptional: boolean }
  | { readonly kind: "nested"; readonly presence: number; readonly inner: Steps }
  | { readonly kind: "group"; readonly list: number; readonly element: Steps }
  | { readonly kind: "box"; readonly box: number; readonly field: DescField };

/** By field number. */
type Steps = readonly (Step | undefined)[];
type NestedStep = Extract<Step, { kind: "nested" }>;

/** What one decoder reads of one layout: the records of its boxes, until they are decoded. */
interface Pending {
  readonly boxes: readonly BoxRecords[];
  readonly lists: readonly Pending[];
}

/** What is read without a pause, in far less than a millisecond. */
const BYTES_AT_ONCE = 4096;

const NO_LIMIT = Number.POSITIVE_INFINITY;

/** Numbers of fields may go up to 2^29: beyond this they are looked up otherwise than in an array. */
const NUMBER_MAX = 4096;

export class RowDecoder {
  readonly layout: Layout;
  readonly #steps: Steps;
  /** Where the layout has no boxes nothing is left pending. */
  readonly #boxless: Pending | undefined;

  /** Undefined for messages with field numbers that are too large to go by. */
  static of(layout: Layout): RowDecoder | undefined {
    return largestNumber(layout) > NUMBER_MAX ? undefined : new RowDecoder(layout);
  }

  private constructor(layout: Layout) {
    this.layout = layout;
    this.#steps = stepsOf(layout.scope, layout);
    this.#boxless = hasBoxes(layout) ? undefined : pendingOf(layout);
  }

  /** One row of the layout from one message. Fails with an `Error` that says what is wrong with the bytes. */
  *decode(bytes: Uint8Array, batch: Batch): Slices<void> {
    const reader = new WireReader(bytes);
    batch.readFrom(bytes, reader.view);
    const pending = this.#boxless ?? pendingOf(this.layout);
    const reading = new Reading(reader);
    if (bytes.length <= BYTES_AT_ONCE) reading.whole(this.#steps, bytes.length, batch, batch.addRow(0), pending, 1);
    else yield* reading.slices(this.#steps, bytes.length, batch, batch.addRow(0), pending, 1);
    if (this.#boxless === undefined) yield* readAllBoxes(bytes, batch, pending);
  }
}

class Reading {
  readonly #reader: WireReader;

  constructor(reader: WireReader) {
    this.#reader = reader;
  }

  /** With a pause after some records. */
  *slices(steps: Steps, end: number, batch: Batch, row: number, pending: Pending, depth: number): Slices<void> {
    const reader = this.#reader;
    while (reader.at < end) {
      for (const list of batch.lists) yield* list.roomSlices(SLICE);
      const nested = this.#records(steps, end, batch, row, pending, depth, SLICE);
      if (nested !== undefined) {
        batch.columns[nested.presence]!.values[row] = 1;
        yield* this.slices(nested.inner, reader.lengthEnd(end), batch, row, pending, depth + 1);
      }
      if (reader.at < end) yield;
    }
    if (reader.at !== end) throw new Error("a field reaches beyond its message");
  }

  /** Reads so many records at most; stops behind the tag of a nested message where there is a limit. */
  #records(
    steps: Steps,
    end: number,
    batch: Batch,
    row: number,
    pending: Pending,
    depth: number,
    max: number,
  ): NestedStep | undefined {
    const reader = this.#reader;
    for (let count = 0; reader.at < end && count < max; count++) {
      const recordStart = reader.at;
      const first = reader.bytes[recordStart]!;
      // Most tags are one byte.
      const isShort = first >= 8 && first < 0x80 && (first & 7) <= 5;
      if (isShort) reader.at = recordStart + 1;
      const tag = isShort ? first : reader.tag();
      const step = steps[tag >>> 3];
      if (step === undefined) reader.skipUnknown(tag, depth, end);
      else if (step.kind === "slot") this.#scalar(step, batch.columns[step.slot]!, row, end);
      else if (step.kind === "group") {
        const elementEnd = reader.lengthEnd(end);
        const list = batch.lists[step.list]!;
        this.whole(step.element, elementEnd, list, list.addRow(row), pending.lists[step.list]!, depth + 1);
      } else if (step.kind === "nested") {
        if (max !== NO_LIMIT) return step;
        batch.columns[step.presence]!.values[row] = 1;
        this.whole(step.inner, reader.lengthEnd(end), batch, row, pending, depth + 1);
      } else {
        passRecord(reader, step.field, tag, end);
        pending.boxes[step.box]!.add(row, recordStart, reader.at);
      }
    }
    return undefined;
  }

  whole(steps: Steps, end: number, batch: Batch, row: number, pending: Pending, depth: number): void {
    this.#records(steps, end, batch, row, pending, depth, NO_LIMIT);
    if (this.#reader.at !== end) throw new Error("a field reaches beyond its message");
  }

  #scalar(step: Extract<Step, { kind: "slot" }>, column: Column, row: number, limit: number): void {
    const reader = this.#reader;
    if (step.isOptional) column.has[row] = 1;
    switch (step.codec) {
      case ScalarType.INT64:
      case ScalarType.UINT64: {
        const short = reader.shortVarint();
        if (short >= 0) {
          column.values[row] = short;
          return;
        }
        reader.varint64();
        setLong(column, row, reader.low, reader.high, step.codec === ScalarType.INT64);
        return;
      }
      case ScalarType.STRING: {
        const end = reader.lengthEnd(limit);
        checkUtf8(reader.bytes, reader.at, end);
        column.start[row] = reader.at;
        column.end[row] = end;
        reader.at = end;
        return;
      }
      case ScalarType.BYTES: {
        const end = reader.lengthEnd(limit);
        column.start[row] = reader.at;
        column.end[row] = end;
        reader.at = end;
        return;
      }
      case ScalarType.DOUBLE:
        column.values[row] = reader.double();
        return;
      case ScalarType.FLOAT:
        column.values[row] = reader.float();
        return;
      case ScalarType.INT32:
        column.values[row] = reader.varint32() | 0;
        return;
      case ScalarType.UINT32:
        column.values[row] = reader.varint32();
        return;
      case ScalarType.SINT32: {
        const zigzag = reader.varint32();
        column.values[row] = (zigzag >>> 1) ^ -(zigzag & 1);
        return;
      }
      case ScalarType.BOOL:
        reader.varint64();
        column.values[row] = (reader.low | reader.high) === 0 ? 0 : 1;
        return;
      case ScalarType.FIXED32:
        column.values[row] = reader.fixed32() >>> 0;
        return;
      case ScalarType.SFIXED32:
        column.values[row] = reader.fixed32();
        return;
      case ScalarType.FIXED64:
      case ScalarType.SFIXED64: {
        const low = reader.fixed32();
        setLong(column, row, low, reader.fixed32(), step.codec === ScalarType.SFIXED64);
        return;
      }
      case ScalarType.SINT64: {
        reader.varint64();
        const sign = -(reader.low & 1);
        const low = ((reader.low >>> 1) | (reader.high << 31)) ^ sign;
        setLong(column, row, low, (reader.high >>> 1) ^ sign, true);
        return;
      }
    }
  }
}

/** From the halves of 64 bits. */
export function setLong(column: Column, row: number, low: number, high: number, isSigned: boolean): void {
  const top = isSigned ? high : high >>> 0;
  if (top >= -0x200000 && top < 0x200000) {
    const value = top * 0x100000000 + (low >>> 0);
    // -2^53 itself is no safe integer.
    if (value !== -0x20000000000000) {
      column.values[row] = value;
      return;
    }
  }
  column.setWide(row, BigInt(top) * 0x100000000n + BigInt(low >>> 0));
}

function checkUtf8(bytes: Uint8Array, start: number, end: number): void {
  for (let at = start; at < end; at++) {
    if (bytes[at]! < 0x80) continue;
    if (!isUtf8(bytes.subarray(at, end))) throw new Error("a string that is not UTF-8");
    return;
  }
}

function stepsOf(scope: Scope, layout: Layout): Steps {
  const steps: (Step | undefined)[] = [];
  const last = Math.max(0, ...scope.places.map(({ field }) => field.number));
  for (let number = 0; number <= last; number++) steps.push(undefined);
  for (const place of scope.places) steps[place.field.number] = stepOf(place, layout);
  return steps;
}

function stepOf(place: Place, layout: Layout): Step {
  switch (place.kind) {
    case "slot":
      return { kind: "slot", slot: place.slot, codec: place.codec, isOptional: layout.slots[place.slot]!.isOptional };
    case "nested":
      return { kind: "nested", presence: place.presence, inner: stepsOf(place.scope, layout) };
    case "group": {
      const element = layout.lists[place.list]!.layout;
      return { kind: "group", list: place.list, element: stepsOf(element.scope, element) };
    }
    case "box":
      return { kind: "box", box: place.box, field: place.field };
    default: {
      const codec = (place.field.scalar ?? ScalarType.INT32) as ScalarType;
      return { kind: "slot", slot: place.slot, codec, isOptional: layout.slots[place.slot]!.isOptional };
    }
  }
}

function largestNumber(layout: Layout): number {
  const inScope = (scope: Scope): number =>
    scope.places.reduce(
      (max, place) => Math.max(max, place.field.number, place.kind === "nested" ? inScope(place.scope) : 0),
      0,
    );
  return layout.lists.reduce((max, list) => Math.max(max, largestNumber(list.layout)), inScope(layout.scope));
}

function hasBoxes({ boxes, lists }: Layout): boolean {
  return boxes.length > 0 || lists.some(({ layout }) => hasBoxes(layout));
}

function pendingOf(layout: Layout): Pending {
  return {
    boxes: layout.boxes.map((box) => new BoxRecords(box)),
    lists: layout.lists.map((list) => pendingOf(list.layout)),
  };
}

function* readAllBoxes(bytes: Uint8Array, batch: Batch, pending: Pending): Slices<void> {
  for (const [index, records] of pending.boxes.entries()) yield* readBoxes(bytes, records, batch.boxes[index]!);
  for (const [index, inner] of pending.lists.entries()) yield* readAllBoxes(bytes, batch.lists[index]!, inner);
}
