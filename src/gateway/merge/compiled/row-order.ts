/** Rows in order: groups by their keys, ascending, absent ones last; rows of sorted lists by their columns. */
import type { Slices } from "../../../accumulator/sliced-sort.ts";
import { SLICE, slicedSort } from "../../../accumulator/sliced-sort.ts";
import type { Window } from "../../../accumulator/sorted.ts";
import { compareReals, type Order } from "../../../accumulator/value-order.ts";
import type { Column } from "./column.ts";
import { compareIntegerRows, compareTextRows } from "./fold.ts";
import type { GroupTable } from "./group-table.ts";
import type { Slot } from "./layout.ts";
import { radixOrder } from "./radix-order.ts";

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
  readonly rows: ArrayLike<number>;
  /** Where those of a row around them begin, and end. */
  readonly starts: Int32Array;
}

/** The rows of a sorted list that the window asks for; equal ones in the order of the shards, and of each shard's list. */
export function* sortedRows(table: GroupTable, window: Window): Slices<ListOrder> {
  const parts = table.layout.order!.map(({ slot, descending }) =>
    sortedBy(table.columns[slot.index]!, slot, descending),
  );
  const { shards } = table;
  const [first] = table.layout.order!;
  const prefix = first === undefined ? new Float64Array(table.rows) : yield* prefixesOf(table, first.slot);
  const rows = yield* inOrder(prefix, table.rows, first?.descending ?? false, (a, b) => {
    for (const compare of parts) {
      const difference = compare(a, b);
      if (difference !== 0) return difference;
    }
    return shards[a]! - shards[b]! || a - b;
  });
  const { offset, limit } = window;
  const wanted = rows.subarray(offset, limit === undefined ? undefined : offset + limit);
  return { rows: wanted, starts: Int32Array.of(0, wanted.length) };
}

function sortedBy(column: Column, { type, isOptional }: Slot, descending: boolean): Order<number> {
  const compare = type === "text" ? compareTextRows : type === "real" ? compareRealRows : compareIntegerRows;
  const sign = descending ? -1 : 1;
  return (a, b) => {
    if (isOptional && (column.has[a] === 0 || column.has[b] === 0)) return column.has[b]! - column.has[a]!;
    return sign * compare(column, a, column, b);
  };
}

function compareRealRows(a: Column, i: number, b: Column, j: number): number {
  return compareReals(a.values[i]!, b.values[j]!);
}

export function* orderedByKey(table: GroupTable, parents: number): Slices<ListOrder> {
  const [first] = table.layout.key;
  const prefix = first === undefined ? new Float64Array(table.rows) : yield* prefixesOf(table, first);
  const byKey = yield* inOrder(prefix, table.rows, false, keyOrder(table));
  const around = table.parents;
  const starts = new Int32Array(parents + 1);
  for (let row = 0; row < table.rows; row++) {
    starts[around[row]! + 1]! += 1;
    if (row % ROWS_PER_SLICE === ROWS_PER_SLICE - 1) yield;
  }
  for (let parent = 0; parent < parents; parent++) {
    starts[parent + 1]! += starts[parent]!;
    if (parent % ROWS_PER_SLICE === ROWS_PER_SLICE - 1) yield;
  }
  if (parents === 1) return { rows: byKey, starts };
  const next = starts.slice();
  const rows = new Int32Array(table.rows);
  for (let at = 0; at < table.rows; at++) {
    const row = byKey[at]!;
    rows[next[around[row]!]!++] = row;
    if (at % ROWS_PER_SLICE === ROWS_PER_SLICE - 1) yield;
  }
  return { rows, starts };
}

/** By the prefix, and where that is the same by the order. */
function* inOrder(prefix: Float64Array, count: number, descending: boolean, order: Order<number>): Slices<Int32Array> {
  const rows = yield* radixOrder(prefix, count, descending);
  for (let from = 0, to = 0, visited = 0; from < count; from = to) {
    const value = prefix[rows[from]!]!;
    for (to = from + 1; to < count && prefix[rows[to]!] === value; to++) if (to % ROWS_PER_SLICE === 0) yield;
    if (to - from === 2) {
      const [one, other] = [rows[from]!, rows[from + 1]!];
      if (order(one, other) > 0) {
        rows[from] = other;
        rows[from + 1] = one;
      }
    } else if (to - from > 2) rows.set(yield* slicedSort([...rows.subarray(from, to)], order), from);
    visited += to - from;
    if (visited < SLICE) continue;
    visited = 0;
    yield;
  }
  return rows;
}

/** Rows looked at between two pauses. */
const ROWS_PER_SLICE = 16 * SLICE;

/** Numbers that order most rows already: the value, or six bytes behind what all texts begin with. */
function* prefixesOf(table: GroupTable, slot: Slot): Slices<Float64Array> {
  const prefix = new Float64Array(table.rows);
  if (slot.isOptional || slot.field === undefined) return prefix;
  const column = table.columns[slot.index]!;
  if (slot.type === "integer") return column.big !== undefined ? prefix : column.values;
  if (slot.type === "real") return (yield* hasNan(column, table.rows)) ? prefix : column.values;
  const common = yield* commonStart(column, table.rows);
  const { start: starts, end: ends, bytes } = column;
  for (let row = 0; row < table.rows; row++) {
    let value = 0;
    const start = starts[row]! + common;
    const end = ends[row]!;
    for (let at = start; at < start + 6; at++) value = value * 256 + (at < end ? bytes[at]! : 0);
    prefix[row] = value;
    if (row % ROWS_PER_SLICE === ROWS_PER_SLICE - 1) yield;
  }
  return prefix;
}

function* hasNan({ values }: Column, rows: number): Slices<boolean> {
  for (let row = 0; row < rows; row++) {
    if (Number.isNaN(values[row])) return true;
    if (row % ROWS_PER_SLICE === ROWS_PER_SLICE - 1) yield;
  }
  return false;
}

/** How many bytes all texts have in common at their beginning. */
function* commonStart({ start, end, bytes }: Column, rows: number): Slices<number> {
  if (rows === 0) return 0;
  const first = start[0]!;
  let common = end[0]! - first;
  for (let row = 1; row < rows && common > 0; row++) {
    const own = start[row]!;
    const length = Math.min(common, end[row]! - own);
    let same = 0;
    while (same < length && bytes[own + same] === bytes[first + same]) same += 1;
    common = same;
    if (row % ROWS_PER_SLICE === ROWS_PER_SLICE - 1) yield;
  }
  return common;
}
