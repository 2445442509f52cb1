/** The state of a merge: a row for the response, or for each group of a list, and what stands inside of them. */
import type { Slices } from "../../../accumulator/sliced-sort.ts";
import { SLICE } from "../../../accumulator/sliced-sort.ts";
import { type FieldAccumulator, leafAccumulator, type MergeContext } from "../field-accumulator.ts";
import type { Batch } from "./batch.ts";
import { Column } from "./column.ts";
import { copyValue, foldsOf, type SlotFold, startOf } from "./fold.ts";
import { KeyIndex } from "./key-index.ts";
import type { Layout, Slot } from "./layout.ts";

/** Rows in one go: some fifty nanoseconds each. */
export const ROWS_PER_SLICE = 4096;

/** Of the rows that are looked for: nobody else runs in between. */
const HASHES = new Int32Array(ROWS_PER_SLICE);

/** Which rows of a batch are merged; all of them unless told. */
export type RowFilter = (row: number) => boolean;

/** `keys`: nothing but the keys of groups is kept, which numbers them. */
export type TableKind = "whole" | "keys";

/**
 * Keys that another table has numbered, so that they need not be looked for: row `i` has the key `ids[i]` of `names`.
 * `rowOf` has by number of the key one more than the row that it has here, and is told of new ones: at first the table is
 * empty, and `rowOf` too.
 */
export interface RowNumbers {
  readonly ids: Int32Array;
  readonly names: GroupTable;
  readonly rowOf: Int32Array;
}

/** Room that is made at first for groups. */
const ROWS_MIN = 64;

export class GroupTable {
  readonly layout: Layout;
  readonly columns: readonly Column[];
  /** By box and row: the states of its accumulator; undefined as long as no partial had a value. */
  readonly boxes: readonly unknown[][];
  readonly accumulators: readonly FieldAccumulator[];
  readonly lists: readonly GroupTable[];
  readonly #context: MergeContext;
  readonly #index: KeyIndex;
  /** Slots that a new row is made with. */
  readonly #copied: readonly Slot[];
  /** Slots that have columns here. */
  readonly #held: readonly Slot[];
  #capacity = 0;
  /** By row of a sorted list: the shard that sent it. */
  shards = new Int32Array(0);
  rows = 0;

  constructor(layout: Layout, context: MergeContext, kind: TableKind = "whole") {
    const isWhole = kind === "whole";
    this.layout = layout;
    this.columns = layout.slots.map(({ type, isOptional }) => new Column(type, isOptional));
    this.boxes = isWhole ? layout.boxes.map(() => []) : [];
    this.accumulators = isWhole ? layout.boxes.map(({ recipe }) => leafAccumulator(recipe, context)) : [];
    this.lists = isWhole ? layout.lists.map((list) => new GroupTable(list.layout, context)) : [];
    this.#context = context;
    this.#index = new KeyIndex(layout.key, this.columns);
    this.#copied = layout.order === undefined ? layout.key : layout.slots;
    this.#held = isWhole ? layout.slots : layout.key;
  }

  /** The row around each group. */
  get parents(): Int32Array {
    return this.#index.parents;
  }

  /** The one row of a response. */
  addRow(): number {
    if (this.rows === this.#capacity) this.#grow(2 * this.#capacity);
    return this.rows++;
  }

  /** Rows of a sorted list are all new. */
  *#append(batch: Batch): Slices<Int32Array> {
    const appended = new Int32Array(batch.rows);
    for (let i = 0; i < batch.rows; i++) {
      appended[i] = this.#newRow(batch, i);
      if (i % ROWS_PER_SLICE === ROWS_PER_SLICE - 1) yield;
    }
    return appended;
  }

  /** Rows of the groups of a batch, which are made where there are none. Negative for those that are left out. */
  *rowsOf(batch: Batch, parents: Int32Array | undefined): Slices<Int32Array> {
    if (this.layout.order !== undefined) return yield* this.#append(batch);
    const found = this.#begin(batch);
    for (let from = 0; from < batch.rows; from += ROWS_PER_SLICE) {
      if (from > 0) yield;
      this.#find(batch, parents, from, Math.min(batch.rows, from + ROWS_PER_SLICE), found);
    }
    return found;
  }

  /** The same at once, for few rows of groups. */
  rowsOfFew(batch: Batch, parents: Int32Array | undefined): Int32Array {
    const found = this.#begin(batch);
    this.#find(batch, parents, 0, batch.rows, found);
    return found;
  }

  /** The same for rows whose keys are numbered. */
  *rowsOfNumbered(batch: Batch, numbers: RowNumbers, filter?: RowFilter): Slices<Int32Array> {
    const found = this.#begin(batch);
    for (let from = 0; from < batch.rows; from += ROWS_PER_SLICE) {
      if (from > 0) yield;
      this.#findNumbered(batch, numbers, filter, from, Math.min(batch.rows, from + ROWS_PER_SLICE), found);
    }
    return found;
  }

  /** The same at once, for few rows. */
  rowsOfFewNumbered(batch: Batch, numbers: RowNumbers, filter?: RowFilter): Int32Array {
    const found = this.#begin(batch);
    this.#findNumbered(batch, numbers, filter, 0, batch.rows, found);
    return found;
  }

  /** Where the rows of a batch will stand. */
  #begin(batch: Batch): Int32Array {
    if (this.rows === 0) {
      // Other shards mostly have the same groups; where there are few, others are likely, and room for them is little.
      const rows = Math.max(batch.rows, ROWS_MIN);
      this.#index.reserve(rows);
      this.#grow(rows);
    }
    return new Int32Array(batch.rows);
  }

  #findNumbered(
    batch: Batch,
    { ids, names, rowOf }: RowNumbers,
    filter: RowFilter | undefined,
    from: number,
    to: number,
    found: Int32Array,
  ): void {
    for (let i = from; i < to; i++) {
      const id = ids[i]!;
      if (filter?.(i) === false) found[i] = -1;
      else {
        if (rowOf[id] === 0) {
          rowOf[id] = this.#newRow(batch, i) + 1;
          this.#index.insert(names.#index.hashOf(id), 0);
        }
        found[i] = rowOf[id]! - 1;
      }
    }
  }

  #find(batch: Batch, parents: Int32Array | undefined, from: number, to: number, found: Int32Array): void {
    const { columns } = batch;
    const index = this.#index;
    const hashes = HASHES;
    if (parents === undefined) hashes.fill(0, 0, to - from);
    else for (let i = from; i < to; i++) hashes[i - from] = parents[batch.parent[i]!]!;
    index.hash(columns, from, to, hashes);
    for (let i = from; i < to; i++) {
      const parent = parents === undefined ? 0 : parents[batch.parent[i]!]!;
      const hash = hashes[i - from]!;
      if (parent < 0) found[i] = -1;
      else {
        const known = index.find(hash, columns, i, parent);
        found[i] = known >= 0 ? known : this.#newRow(batch, i);
        if (known < 0) index.insert(hash, parent);
      }
    }
  }

  #newRow(batch: Batch, i: number): number {
    let bytes = this.layout.rowBytes;
    for (const column of batch.columns) if (column.type === "text") bytes += column.end[i]! - column.start[i]!;
    this.#context.budget.holdBytes(bytes);
    const row = this.addRow();
    for (const { index } of this.#copied) copyValue(this.columns[index]!, row, batch.columns[index]!, i);
    return row;
  }

  /** Merges all of a batch; row `i` of it belongs to row `rows[i]` here. Faults: `bad-partial`, `answer-too-large`. */
  *merge(batch: Batch, rows: Int32Array, shard: number, isListWanted?: (index: number) => boolean): Slices<void> {
    if (this.layout.order !== undefined) for (const row of rows) this.shards[row] = shard;
    for (const slot of foldsOf(this.layout)) {
      for (let from = 0; from < batch.rows; from += ROWS_PER_SLICE) {
        const to = Math.min(batch.rows, from + ROWS_PER_SLICE);
        this.#fold(slot, batch, rows, shard, from, to);
        if (to - from === ROWS_PER_SLICE) yield;
      }
    }
    for (const [index, accumulator] of this.accumulators.entries()) {
      const states = this.boxes[index]!;
      let visited = 0;
      for (const { row, value } of batch.boxes[index]!) {
        const to = rows[row]!;
        if (to < 0) continue;
        states[to] = accumulator.add(states[to] ?? accumulator.empty(), value, shard);
        visited += Array.isArray(value) ? value.length : 1;
        if (visited < SLICE) continue;
        visited = 0;
        yield;
      }
    }
    for (const [index, list] of this.lists.entries()) {
      if (isListWanted?.(index) === false) continue;
      const inner = batch.lists[index]!;
      if (inner.isFew && list.layout.order === undefined) list.mergeFew(inner, list.rowsOfFew(inner, rows), shard);
      else yield* list.merge(inner, yield* list.rowsOf(inner, rows), shard);
    }
  }

  /** The same at once, for few rows of groups. */
  mergeFew(batch: Batch, rows: Int32Array, shard: number): void {
    for (const slot of foldsOf(this.layout)) this.#fold(slot, batch, rows, shard, 0, batch.rows);
  }

  #fold({ slot, fold }: SlotFold, batch: Batch, rows: Int32Array, shard: number, from: number, to: number): void {
    const guard = slot.guard === undefined ? undefined : batch.columns[slot.guard]!.values;
    fold(this.columns[slot.index]!, batch.columns[slot.index]!, { rows, from, to, shard, guard });
  }

  #grow(rows: number): void {
    const before = this.#capacity;
    this.#capacity = Math.max(16, before, rows);
    if (this.layout.order !== undefined) {
      const shards = new Int32Array(this.#capacity);
      shards.set(this.shards);
      this.shards = shards;
    }
    for (const slot of this.#held) {
      const { index, operator, type } = slot;
      const column = this.columns[index]!;
      column.grow(this.#capacity, { low: operator === "sum" && type === "real", shard: operator === "first" });
      const start = startOf(slot);
      if (start !== 0) column.values.fill(start, before);
    }
  }
}
