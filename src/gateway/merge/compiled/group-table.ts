/** The state of a merge: a row for the response, or for each group of a list, and what stands inside of them. */
import { type Slices, unsliced } from "../../../accumulator/sliced-sort.ts";
import { type FieldAccumulator, leafAccumulator, type MergeContext } from "../field-accumulator.ts";
import type { Batch } from "./batch.ts";
import { Column } from "./column.ts";
import { copyValue, foldsOf, type SlotFold, startOf } from "./fold.ts";
import { grownInParts } from "./grown-in-parts.ts";
import { FOUND_AT_ONCE, KeyIndex } from "./key-index.ts";
import type { Layout, Slot } from "./layout.ts";
import { mergeBoxes } from "./merge-boxes.ts";
import { rowsWithText, SharedGrowth, textBytes } from "./shared-growth.ts";

/** Rows in one go: some fifty nanoseconds each. */
export const ROWS_PER_SLICE = FOUND_AT_ONCE;

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
  readonly #growth = new SharedGrowth();
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
    if (this.rows === this.#capacity) unsliced(this.#makeRoom(this.rows + 1));
    return this.rows++;
  }

  /** Rows of a sorted list are all new. */
  *#append(batch: Batch): Slices<Int32Array> {
    const appended = new Int32Array(batch.rows);
    for (let from = 0, to = 0; from < batch.rows; from = to) {
      to = this.#sliceEnd(batch, from);
      if (from > 0) yield;
      yield* this.#roomFor(batch, from, to);
      for (let i = from; i < to; i++) appended[i] = this.#newRow(batch, i);
    }
    return appended;
  }

  /** Rows of the groups of a batch, which are made where there are none. Negative for those that are left out. */
  *rowsOf(batch: Batch, parents: Int32Array | undefined): Slices<Int32Array> {
    if (this.layout.order !== undefined) return yield* this.#append(batch);
    const found = new Int32Array(batch.rows);
    for (let from = 0, to = 0; from < batch.rows; from = to) {
      to = this.#sliceEnd(batch, from);
      if (from > 0) yield;
      yield* this.#roomFor(batch, from, to);
      this.#find(batch, parents, from, to, found);
    }
    return found;
  }

  /** The same at once, for few rows of groups. */
  rowsOfFew(batch: Batch, parents: Int32Array | undefined): Int32Array {
    const found = new Int32Array(batch.rows);
    this.#roomForFew(batch);
    this.#find(batch, parents, 0, batch.rows, found);
    return found;
  }

  /** The same for rows whose keys are numbered. */
  *rowsOfNumbered(batch: Batch, numbers: RowNumbers, filter?: RowFilter): Slices<Int32Array> {
    const found = new Int32Array(batch.rows);
    for (let from = 0, to = 0; from < batch.rows; from = to) {
      to = this.#sliceEnd(batch, from);
      if (from > 0) yield;
      yield* this.#roomFor(batch, from, to);
      this.#findNumbered(batch, numbers, filter, from, to, found);
    }
    return found;
  }

  /** The same at once, for few rows. */
  rowsOfFewNumbered(batch: Batch, numbers: RowNumbers, filter?: RowFilter): Int32Array {
    const found = new Int32Array(batch.rows);
    this.#roomForFew(batch);
    this.#findNumbered(batch, numbers, filter, 0, batch.rows, found);
    return found;
  }

  /** For rows of a batch, should all of them be new: there is room when it ends, whoever worked during its pauses. */
  *#roomFor(batch: Batch, from: number, to: number): Slices<void> {
    // Other shards mostly have the same groups; where there are few, others are likely, and room for them is little.
    const first = this.rows === 0 ? Math.max(batch.rows + ROWS_PER_SLICE, ROWS_MIN) : 0;
    const wanted = () => Math.max(first, this.rows + to - from);
    const isFirst = from === 0 && this.rows === 0;
    const texts = this.#copied.flatMap(({ index, type }) => {
      return type === "text"
        ? [{ column: this.columns[index]!, bytes: textBytes(batch.columns[index]!, from, isFirst ? batch.rows : to) }]
        : [];
    });
    const isFull = () => texts.find(({ column, bytes }) => !column.hasRoom(bytes));
    yield* this.#growth.until(
      () => wanted() <= this.#capacity && isFull() === undefined,
      () => {
        const full = isFull();
        return full === undefined ? this.#growSlices(this.#larger(wanted())) : full.column.growTextSlices(full.bytes);
      },
    );
  }

  /** Where to pause among rows that may all be new. */
  #sliceEnd(batch: Batch, from: number): number {
    let to = Math.min(batch.rows, from + ROWS_PER_SLICE);
    for (const { index, type } of this.#copied) {
      if (type === "text") to = rowsWithText(batch.columns[index]!, from, to);
    }
    return to;
  }

  #larger(rows: number): number {
    return Math.max(16, 2 * this.#capacity, rows);
  }

  /** The same at once. */
  #roomForFew(batch: Batch): void {
    const rows = this.rows === 0 ? Math.max(batch.rows, ROWS_MIN) : this.rows + batch.rows;
    if (this.#growth.isUnderWay || rows > this.#capacity) unsliced(this.#makeRoom(rows));
  }

  *#roomForTexts(index: number, batch: Batch, from: number, to: number): Slices<void> {
    const column = this.columns[index]!;
    const input = batch.columns[index]!;
    // The first of as many groups as it has rows leaves its texts here, so that room for them need not double.
    const isFirst = from === 0 && column.used === 0 && this.rows >= batch.rows;
    const bytes = isFirst ? textBytes(input, 0, batch.rows) : textBytes(input, from, to);
    yield* this.#growth.until(
      () => column.hasRoom(bytes),
      () => column.growTextSlices(bytes),
    );
  }

  *#makeRoom(rows: number): Slices<void> {
    yield* this.#growth.until(
      () => rows <= this.#capacity,
      () => this.#growSlices(this.#larger(rows)),
    );
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
    const isFlat = isAllZero(hashes, to - from);
    index.hash(columns, from, to, hashes);
    if (isFlat) index.findFirst(hashes, columns, from, to, found);
    else found.fill(-1, from, to);
    for (let i = from; i < to; i++) {
      if (found[i]! >= 0) continue;
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
      const { index, type } = slot.slot;
      for (let from = 0, to = 0; from < batch.rows; from = to) {
        to = Math.min(batch.rows, from + ROWS_PER_SLICE);
        if (type === "text") {
          to = rowsWithText(batch.columns[index]!, from, to);
          yield* this.#roomForTexts(index, batch, from, to);
        } else if (this.#growth.isUnderWay) yield* this.#growth.finishSlices();
        this.#fold(slot, batch, rows, shard, from, to);
        if (to < batch.rows || to - from === ROWS_PER_SLICE) yield;
      }
    }
    yield* mergeBoxes(this, batch, rows, shard);
    for (const [index, list] of this.lists.entries()) {
      if (isListWanted?.(index) === false) continue;
      const inner = batch.lists[index]!;
      if (inner.isFew && list.layout.order === undefined) list.mergeFew(inner, list.rowsOfFew(inner, rows), shard);
      else yield* list.merge(inner, yield* list.rowsOf(inner, rows), shard);
    }
  }

  /** The same at once, for few rows of groups. */
  mergeFew(batch: Batch, rows: Int32Array, shard: number): void {
    this.#growth.finish();
    for (const slot of foldsOf(this.layout)) this.#fold(slot, batch, rows, shard, 0, batch.rows);
  }

  #fold({ slot, fold }: SlotFold, batch: Batch, rows: Int32Array, shard: number, from: number, to: number): void {
    const guard = slot.guard === undefined ? undefined : batch.columns[slot.guard]!.values;
    fold(this.columns[slot.index]!, batch.columns[slot.index]!, { rows, from, to, shard, guard });
  }

  *#growSlices(rows: number): Slices<void> {
    if (this.layout.order !== undefined) this.shards = yield* grownInParts(this.shards, new Int32Array(rows));
    for (const slot of this.#held) {
      const { index, operator, type } = slot;
      const parts = { low: operator === "sum" && type === "real", shard: operator === "first", start: startOf(slot) };
      yield* this.columns[index]!.growSlices(rows, parts);
    }
    if (this.layout.key.length > 0) yield* this.#index.growSlices(rows);
    this.#capacity = rows;
  }
}

function isAllZero(numbers: Int32Array, count: number): boolean {
  let seen = 0;
  for (let at = 0; at < count; at++) seen |= numbers[at]!;
  return seen === 0;
}
