import { type Slices, unsliced } from "../../../accumulator/sliced-sort.ts";
import type { Window } from "../../../accumulator/sorted.ts";
import type { ByteSink } from "../../../wire/byte-sink.ts";
import { hasPresence } from "../../../wire/message-field.ts";
import type { GroupTable } from "./group-table.ts";
import { type ListOrder, orderedByKey, sortedRows } from "./row-order.ts";

/** A table as it is written: its lists in order, its boxes finished. */
export class OrderedTable {
  readonly table: GroupTable;
  readonly lists: readonly OrderedList[];
  /** Of one row: boxes are finished when their row is written. */
  #finished: { readonly row: number; readonly values: readonly unknown[] } | undefined;

  private constructor(table: GroupTable, lists: readonly OrderedList[]) {
    this.table = table;
    this.lists = lists;
  }

  /** Groups by key, except where an order is given for a list; sorted lists cut to the window. */
  static *of(table: GroupTable, window: Window, given?: (list: number) => ListOrder | undefined): Slices<OrderedTable> {
    const lists: OrderedList[] = [];
    for (const [index, list] of table.lists.entries()) {
      const sorted = list.layout.order === undefined ? orderedByKey(list, table.rows) : sortedRows(list, window);
      const order = given?.(index) ?? (yield* sorted);
      lists.push({ ...order, inner: yield* OrderedTable.of(list, window) });
    }
    return new OrderedTable(table, lists);
  }

  /** What the row has in its boxes; undefined where there is nothing to write. */
  boxed(row: number): readonly unknown[] {
    if (this.#finished?.row !== row) unsliced(this.finishBoxes(row));
    return this.#finished!.values;
  }

  /** The same, with pauses where a box takes long. Faults: `overflow`. */
  *finishBoxes(row: number): Slices<void> {
    const values: unknown[] = [];
    for (const [index, accumulator] of this.table.accumulators.entries()) {
      const state = this.table.boxes[index]![row];
      if (state === undefined && hasPresence(this.table.layout.boxes[index]!.recipe.field)) values.push(undefined);
      else {
        const last = state ?? accumulator.empty();
        values.push(accumulator.finishSlices ? yield* accumulator.finishSlices(last) : accumulator.finish(last));
      }
    }
    this.#finished = { row, values };
  }

  /** How many groups the list has for a row. */
  countOf(list: number, row: number): number {
    const { starts } = this.lists[list]!;
    return starts[row + 1]! - starts[row]!;
  }
}

export interface OrderedList extends ListOrder {
  readonly inner: OrderedTable;
}

/** Writes one field of one row. Faults: `overflow`, `bad-partial` for a negative count. */
export type WriteField = (sink: ByteSink, from: OrderedTable, row: number) => void;
