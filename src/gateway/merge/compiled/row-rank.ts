/** What merged groups are ranked by, read from their columns: `../rank.ts` tells what it means. */
import type { Message } from "@bufbuild/protobuf";
import { DECIMAL_DIGITS_MAX, decimalUnitsAt, type ExactDecimal } from "../../../accumulator/decimal.ts";
import { roundDyadic } from "../../../accumulator/dyadic.ts";
import { DOUBLE, SINGLE } from "../../../accumulator/round-ratio.ts";
import { SLICE, type Slices, slicedFirst } from "../../../accumulator/sliced-sort.ts";
import { cut, type Window } from "../../../accumulator/sorted.ts";
import type { GroupOrder } from "../../../merge-plan/method-plan.ts";
import { readDecimal } from "../../../merge-plan/row-order.ts";
import { valueTypeOf } from "../../../wire/value-type.ts";
import type { Rank, Shown } from "../rank.ts";
import { meanReader } from "./derived-writer.ts";
import { realState } from "./exact-real.ts";
import type { GroupTable } from "./group-table.ts";
import type { Layout } from "./layout.ts";
import { keyOrder, type ListOrder } from "./row-order.ts";

export type RowRank = (table: GroupTable, row: number) => Shown;

/** Integers below 2^53 as numbers, which compare with bigints as they should. */
export function rowRank(layout: Layout, { field }: GroupOrder): RowRank {
  const place = layout.scope.places.find((one) => one.field === field)!;
  if (place.kind === "avg") return meanReader(place, layout);
  if (place.kind === "box") {
    const { kind } = layout.boxes[place.box]!.recipe;
    return (table, row) => {
      const state = table.boxes[place.box]![row];
      if (state === undefined) return undefined;
      const decimal = kind === "sum" ? (state as ExactDecimal) : readDecimal(state as Message);
      return decimalUnitsAt(decimal, DECIMAL_DIGITS_MAX);
    };
  }
  const slot = layout.slots[(place as Extract<typeof place, { kind: "slot" }>).slot]!;
  const type = valueTypeOf(field);
  const format = type.kind === "real" && type.single ? SINGLE : DOUBLE;
  return (table, row) => {
    const column = table.columns[slot.index]!;
    if (slot.isOptional && column.has[row] === 0) return undefined;
    const value = column.values[row]!;
    if (slot.type === "integer") return Number.isNaN(value) ? column.integer(row) : value;
    if (slot.operator !== "sum" || (format === DOUBLE && !Number.isNaN(value))) return value;
    const { finite, special } = realState(column, row);
    return special ?? roundDyadic(finite, format);
  };
}

/** The window of the groups by rank, ties by key ascending. */
export function* rankRows(table: GroupTable, rank: Rank, shown: RowRank, window: Window): Slices<ListOrder> {
  const values: Shown[] = [];
  for (let row = 0; row < table.rows; row++) {
    values.push(shown(table, row));
    if (row % SLICE === SLICE - 1) yield;
  }
  const byKey = keyOrder(table);
  const order = (a: number, b: number) => rank.order(values[a], values[b]) || byKey(a, b);
  const wanted = window.limit === undefined ? Number.POSITIVE_INFINITY : window.offset + window.limit;
  const rows = cut(yield* slicedFirst(values.keys(), wanted, order), window);
  return { rows, starts: Int32Array.of(0, rows.length) };
}
