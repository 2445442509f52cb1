/** Groups in order: by their keys, ascending, absent ones last. */
import type { Slices } from "../../../accumulator/sliced-sort.ts";
import { slicedSort } from "../../../accumulator/sliced-sort.ts";
import type { Order } from "../../../accumulator/value-order.ts";
import type { Column } from "./column.ts";
import { compareIntegerRows, compareTextRows } from "./fold.ts";
import type { GroupTable } from "./group-table.ts";
import type { Slot } from "./layout.ts";

/** Orders rows of one table. */
export function keyOrder(table: GroupTable): Order<number> {
  const parts = table.layout.key.map((slot) => ({ column: table.columns[slot.index]!, compare: comparison(slot) }));
  return (a, b) => {
    for (const { column, compare } of parts) {
      const difference = compare(column, a, b);
      if (difference !== 0) return difference;
    }
    return 0;
  };
}

function comparison(slot: Slot): (column: Column, a: number, b: number) => number {
  // A key that is a message: where it is there comes first.
  if (slot.field === undefined) return (column, a, b) => column.values[b]! - column.values[a]!;
  const compare = slot.type === "text" ? compareTextRows : compareIntegerRows;
  if (!slot.isOptional) return (column, a, b) => compare(column, a, column, b);
  return (column, a, b) => column.has[b]! - column.has[a]! || (column.has[a] === 0 ? 0 : compare(column, a, column, b));
}

/** The groups of a list as they are written: those of the first row around them, by key, then those of the next. */
export interface ListOrder {
  readonly rows: readonly number[];
  /** Where those of a row around them begin, and end. */
  readonly starts: Int32Array;
}

export function* orderedByKey(table: GroupTable, parents: number): Slices<ListOrder> {
  const byKey = keyOrder(table);
  const all: number[] = [];
  for (let row = 0; row < table.rows; row++) all.push(row);
  const around = table.parents;
  const prefix = prefixes(table);
  const rows = yield* slicedSort(all, (a, b) => around[a]! - around[b]! || prefix[a]! - prefix[b]! || byKey(a, b));
  const starts = new Int32Array(parents + 1);
  for (let row = 0; row < table.rows; row++) starts[around[row]! + 1]! += 1;
  for (let parent = 0; parent < parents; parent++) starts[parent + 1]! += starts[parent]!;
  return { rows, starts };
}

/** Numbers that order most keys already: the first part's value, or its first six bytes. */
function prefixes(table: GroupTable): Float64Array {
  const [slot] = table.layout.key;
  const prefix = new Float64Array(table.rows);
  if (slot === undefined || slot.isOptional || slot.field === undefined) return prefix;
  const column = table.columns[slot.index]!;
  if (slot.type !== "text") return column.big.size > 0 ? prefix : column.values;
  for (let row = 0; row < table.rows; row++) {
    let value = 0;
    const start = column.start[row]!;
    const end = column.end[row]!;
    for (let at = start; at < start + 6; at++) value = value * 256 + (at < end ? column.bytes[at]! : 0);
    prefix[row] = value;
  }
  return prefix;
}
