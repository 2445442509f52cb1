import type { Slices } from "../../../accumulator/sliced-sort.ts";
import { Fault } from "../../../fault/fault.ts";
import { Column } from "./column.ts";
import { grownInParts } from "./grown-in-parts.ts";
import type { Layout } from "./layout.ts";

/** What one row has in a box: a value, or some elements of a list. */
export interface BoxedValue {
  readonly row: number;
  readonly value: unknown;
}

/** Columns of a batch hold neither sums nor shards. */
const PLAIN = { low: false, shard: false, start: 0 };
const FEW = 256;
const LARGE = 32_768;
/** An empty row takes two bytes on the wire and many here: what one partial may be decoded into is bounded by itself. */
const BYTES_MAX = 256 * 2 ** 20;

/**
 * Rows as one partial brings them, before they are merged: the partial is decoded whole first, so that one that cannot be
 * read leaves no trace in the answer.
 */
export class Batch {
  readonly layout: Layout;
  readonly columns: readonly Column[];
  readonly boxes: readonly BoxedValue[][];
  /** By list of groups in the layout. */
  readonly lists: readonly Batch[];
  /** Rows of the batch around this one; of the response itself there is one row. */
  parent = new Int32Array(0);
  rows = 0;
  #capacity = 0;

  constructor(layout: Layout) {
    this.layout = layout;
    this.columns = layout.slots.map(({ type, isOptional }) => new Column(type, isOptional));
    this.boxes = layout.boxes.map(() => []);
    this.lists = layout.lists.map((list) => new Batch(list.layout));
  }

  /** Emptying it takes a while; its memory is better had anew, which is empty already. */
  get isLarge(): boolean {
    return this.rows > LARGE || this.lists.some((list) => list.isLarge);
  }

  /** Few rows of columns alone: what is done with them takes no pause. */
  get isFew(): boolean {
    return this.rows <= FEW && this.boxes.length === 0 && this.lists.length === 0;
  }

  addRow(parent: number): number {
    if (this.rows === this.#capacity) this.reserve(Math.max(16, 2 * this.#capacity));
    const row = this.rows++;
    this.parent[row] = parent;
    return row;
  }

  /** Of the response's own row. */
  addRows(count: number): void {
    this.reserve(this.rows + count);
    this.rows += count;
  }

  /** Faults: `answer-too-large`. */
  reserve(rows: number): void {
    if (rows <= this.#capacity) return;
    this.#check(rows);
    this.#capacity = rows;
    for (const column of this.columns) column.grow(rows);
    const parent = new Int32Array(rows);
    parent.set(this.parent);
    this.parent = parent;
  }

  /** Room for so many rows more, with pauses; what is there is copied in parts. Faults: `answer-too-large`. */
  *roomSlices(rows: number): Slices<void> {
    if (this.rows + rows <= this.#capacity) return;
    const capacity = Math.max(2 * this.#capacity, this.rows + rows);
    this.#check(capacity);
    for (const column of this.columns) yield* column.growSlices(capacity, PLAIN);
    this.parent = yield* grownInParts(this.parent, new Int32Array(capacity));
    this.#capacity = capacity;
  }

  #check(rows: number): void {
    if (rows * this.layout.rowBytes <= BYTES_MAX) return;
    throw new Fault("answer-too-large", `decode a partial: ${this.rows} rows take more than ${BYTES_MAX} bytes`);
  }

  /** The partial that texts are ranges of. */
  readFrom(bytes: Uint8Array, view: DataView): void {
    for (const column of this.columns) if (column.type === "text") column.readFrom(bytes, view);
    for (const list of this.lists) list.readFrom(bytes, view);
  }

  /** About what its arrays take. */
  bytes(): number {
    return this.lists.reduce((sum, list) => sum + list.bytes(), this.#capacity * this.layout.rowBytes);
  }

  /** Empty, to be used for another partial. */
  clear(): void {
    for (const column of this.columns) column.clear(this.rows);
    for (const box of this.boxes) box.length = 0;
    for (const list of this.lists) list.clear();
    this.rows = 0;
  }
}
