/** The state of a merge: a row for the response, or for each group of a list, and what stands inside of them. */
import type { Slices } from "../../../accumulator/sliced-sort.ts";
import { SLICE } from "../../../accumulator/sliced-sort.ts";
import { type FieldAccumulator, leafAccumulator, type MergeContext } from "../field-accumulator.ts";
import type { Batch } from "./batch.ts";
import { Column } from "./column.ts";
import { copyValue, foldOf, startOf } from "./fold.ts";
import { KeyIndex } from "./key-index.ts";
import type { Layout } from "./layout.ts";

/** Rows in one go: some fifty nanoseconds each. */
export const ROWS_PER_SLICE = 4096;

/** Which rows of a batch are merged; all of them unless told. */
export type RowFilter = (row: number) => boolean;

export class GroupTable {
  readonly layout: Layout;
  readonly columns: readonly Column[];
  /** By box and row: the states of its accumulator; undefined as long as no partial had a value. */
  readonly boxes: readonly unknown[][];
  readonly accumulators: readonly FieldAccumulator[];
  readonly lists: readonly GroupTable[];
  readonly #context: MergeContext;
  readonly #index: KeyIndex;
  #capacity = 0;
  rows = 0;

  constructor(layout: Layout, context: MergeContext) {
    this.layout = layout;
    this.columns = layout.slots.map(({ type, isOptional }) => new Column(type, isOptional));
    this.boxes = layout.boxes.map(() => []);
    this.accumulators = layout.boxes.map(({ recipe }) => leafAccumulator(recipe, context));
    this.lists = layout.lists.map((list) => new GroupTable(list.layout, context));
    this.#context = context;
    this.#index = new KeyIndex(layout.key, this.columns);
  }

  /** The row around each group. */
  get parents(): Int32Array {
    return this.#index.parents;
  }

  /** The one row of a response. */
  addRow(): number {
    if (this.rows === this.#capacity) this.#grow();
    return this.rows++;
  }

  /** Rows of the groups of a batch, which are made where there are none. Negative for those that are left out. */
  *rowsOf(batch: Batch, parents: Int32Array | undefined, filter?: RowFilter): Slices<Int32Array> {
    const found = new Int32Array(batch.rows);
    for (let from = 0; from < batch.rows; from += ROWS_PER_SLICE) {
      if (from > 0) yield;
      const to = Math.min(batch.rows, from + ROWS_PER_SLICE);
      for (let i = from; i < to; i++) {
        const parent = parents === undefined ? 0 : parents[batch.parent[i]!]!;
        found[i] = parent < 0 || filter?.(i) === false ? -1 : this.#rowOf(batch, i, parent);
      }
    }
    return found;
  }

  #rowOf(batch: Batch, i: number, parent: number): number {
    const known = this.#index.find(batch.columns, i, parent);
    if (known >= 0) return known;
    let bytes = this.layout.rowBytes;
    for (const column of batch.columns) if (column.type === "text") bytes += column.end[i]! - column.start[i]!;
    this.#context.budget.holdBytes(bytes);
    const row = this.addRow();
    for (const { index } of this.layout.key) copyValue(this.columns[index]!, row, batch.columns[index]!, i);
    this.#index.insert(known, parent);
    return row;
  }

  /** Merges all of a batch; row `i` of it belongs to row `rows[i]` here. Faults: `bad-partial`, `answer-too-large`. */
  *merge(batch: Batch, rows: Int32Array, shard: number, isListWanted?: (index: number) => boolean): Slices<void> {
    for (const slot of this.layout.slots) {
      const fold = foldOf(slot);
      if (fold === undefined) continue;
      const guard = slot.guard === undefined ? undefined : batch.columns[slot.guard]!.values;
      const [state, input] = [this.columns[slot.index]!, batch.columns[slot.index]!];
      for (let from = 0; from < batch.rows; from += ROWS_PER_SLICE) {
        const to = Math.min(batch.rows, from + ROWS_PER_SLICE);
        fold(state, input, { rows, from, to, shard, guard });
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
      yield* list.merge(inner, yield* list.rowsOf(inner, rows), shard);
    }
  }

  #grow(): void {
    const before = this.#capacity;
    this.#capacity = Math.max(16, 2 * before);
    for (const { index, operator, type } of this.layout.slots) {
      const column = this.columns[index]!;
      column.grow(this.#capacity, { low: operator === "sum" && type === "real", shard: operator === "first" });
      const start = startOf(this.layout.slots[index]!);
      if (start !== 0) column.values.fill(start, before);
    }
  }
}
