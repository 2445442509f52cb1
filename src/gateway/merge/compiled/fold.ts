/**
 * Adding a batch's column to a column of the merge: one loop for each operator. Row `i` of the input goes to row
 * `rows[i]` of the state; where that is negative it is left out.
 */
import { compareRealsTotally } from "../../../accumulator/value-order.ts";
import type { Column } from "./column.ts";
import { addReal } from "./exact-real.ts";
import type { Layout, Slot } from "./layout.ts";

export interface FoldRange {
  readonly rows: Int32Array;
  readonly from: number;
  readonly to: number;
  readonly shard: number;
  /** Where the nested message around the field is there; undefined where that does not matter. */
  readonly guard: Float64Array | undefined;
}

export type Fold = (state: Column, input: Column, range: FoldRange) => void;

export interface SlotFold {
  readonly slot: Slot;
  readonly fold: Fold;
}

const folds = new WeakMap<Layout, readonly SlotFold[]>();

/** Of all slots that are merged. */
export function foldsOf(layout: Layout): readonly SlotFold[] {
  const known = folds.get(layout);
  if (known !== undefined) return known;
  const made = layout.slots.flatMap((slot) => {
    const fold = foldOf(slot);
    return fold === undefined ? [] : [{ slot, fold }];
  });
  folds.set(layout, made);
  return made;
}

function foldOf({ operator, type, isOptional }: Slot): Fold | undefined {
  switch (operator) {
    // Told with the new row: the key is the same in all of its group.
    case "key":
    case "ignored":
      return undefined;
    case "sum":
      return type === "integer" ? sumIntegers : sumReals;
    case "present":
    case "any":
      return anyOf;
    case "all":
      return allOf;
    case "bit-or":
      return bitOr;
    case "first":
      return firstOf(isOptional);
    case "min":
      return type === "text" ? extremeText(-1) : type === "real" ? extremeReal(-1) : extremeInteger(-1);
    case "max":
      return type === "text" ? extremeText(1) : type === "real" ? extremeReal(1) : extremeInteger(1);
  }
}

/** Over nothing `all` is true; everything else is zero or absent. */
export function startOf({ operator }: Slot): number {
  return operator === "all" ? 1 : 0;
}

function sumIntegers(state: Column, input: Column, { rows, from, to }: FoldRange): void {
  const sums = state.values;
  const { values, has } = input;
  const isOptional = has.length > 0;
  for (let i = from; i < to; i++) {
    const row = rows[i]!;
    if (row < 0 || (isOptional && has[i] === 0)) continue;
    if (isOptional) state.has[row] = 1;
    const sum = sums[row]! + values[i]!;
    // False for NaN, too.
    if (sum <= 0x1fffffffffffff && sum >= -0x1fffffffffffff) sums[row] = sum;
    else state.setInteger(row, state.integer(row) + input.integer(i));
  }
}

function sumReals(state: Column, input: Column, { rows, from, to }: FoldRange): void {
  const { values, has } = input;
  const isOptional = has.length > 0;
  for (let i = from; i < to; i++) {
    const row = rows[i]!;
    if (row < 0 || (isOptional && has[i] === 0)) continue;
    if (isOptional) state.has[row] = 1;
    addReal(state, row, values[i]!);
  }
}

function anyOf(state: Column, input: Column, { rows, from, to }: FoldRange): void {
  const { values, has } = input;
  const isOptional = has.length > 0;
  for (let i = from; i < to; i++) {
    const row = rows[i]!;
    if (row < 0 || (isOptional && has[i] === 0)) continue;
    if (isOptional) state.has[row] = 1;
    if (values[i] === 1) state.values[row] = 1;
  }
}

function allOf(state: Column, input: Column, { rows, from, to, guard }: FoldRange): void {
  const { values, has } = input;
  const isOptional = has.length > 0;
  for (let i = from; i < to; i++) {
    const row = rows[i]!;
    if (row < 0 || (isOptional && has[i] === 0)) continue;
    if (guard !== undefined && guard[i] === 0) continue;
    if (isOptional) state.has[row] = 1;
    if (values[i] === 0) state.values[row] = 0;
  }
}

function bitOr(state: Column, input: Column, { rows, from, to }: FoldRange): void {
  const { values, has } = input;
  const isOptional = has.length > 0;
  for (let i = from; i < to; i++) {
    const row = rows[i]!;
    if (row < 0 || (isOptional && has[i] === 0)) continue;
    if (isOptional) state.has[row] = 1;
    const [a, b] = [state.values[row]!, values[i]!];
    const isShort = a === (a | 0) && b === (b | 0);
    if (isShort) state.values[row] = a | b;
    else state.setInteger(row, state.integer(row) | input.integer(i));
  }
}

/** Of the lowest shard that has a value; without presence zero is none. */
function firstOf(isOptional: boolean): Fold {
  return (state, input, { rows, from, to, shard }) => {
    for (let i = from; i < to; i++) {
      const row = rows[i]!;
      if (row < 0) continue;
      if (isOptional ? input.has[i] === 0 : isZero(input, i)) continue;
      // Shards are kept as number + 1: zero says that there is no value yet.
      const known = state.shard[row]!;
      if (known !== 0 && known <= shard + 1) continue;
      state.shard[row] = shard + 1;
      copyValue(state, row, input, i);
    }
  };
}

function isZero(column: Column, row: number): boolean {
  return column.type === "text" ? column.start[row] === column.end[row] : column.values[row] === 0;
}

export function copyValue(state: Column, row: number, input: Column, i: number): void {
  if (input.has.length > 0) state.has[row] = input.has[i]!;
  if (input.type === "text") state.setText(row, input.bytes, input.start[i]!, input.end[i]!);
  else if (input.type === "real") state.values[row] = input.values[i]!;
  else if (Number.isNaN(input.values[i])) state.setInteger(row, input.integer(i));
  else state.values[row] = input.values[i]!;
}

/** `sign` 1: the greatest. Extremes have presence always. */
function extreme(isBetter: (input: Column, i: number, state: Column, row: number) => boolean): Fold {
  return (state, input, { rows, from, to }) => {
    for (let i = from; i < to; i++) {
      const row = rows[i]!;
      if (row < 0 || input.has[i] === 0) continue;
      if (state.has[row] === 0 || isBetter(input, i, state, row)) copyValue(state, row, input, i);
    }
  };
}

function extremeInteger(sign: 1 | -1): Fold {
  return extreme((input, i, state, row) => sign * compareIntegerRows(input, i, state, row) > 0);
}

function extremeReal(sign: 1 | -1): Fold {
  return extreme((input, i, state, row) => sign * compareRealsTotally(input.values[i]!, state.values[row]!) > 0);
}

function extremeText(sign: 1 | -1): Fold {
  return extreme((input, i, state, row) => sign * compareTextRows(input, i, state, row) > 0);
}

export function compareIntegerRows(a: Column, i: number, b: Column, j: number): number {
  const [left, right] = [a.values[i]!, b.values[j]!];
  if (left < right) return -1;
  if (left > right) return 1;
  if (left === right) return 0;
  const [wide, other] = [a.integer(i), b.integer(j)];
  return wide < other ? -1 : wide > other ? 1 : 0;
}

/** By bytes, which is by code points. */
export function compareTextRows(a: Column, i: number, b: Column, j: number): number {
  const [left, right] = [a.bytes, b.bytes];
  const [leftStart, rightStart] = [a.start[i]!, b.start[j]!];
  const leftLength = a.end[i]! - leftStart;
  const rightLength = b.end[j]! - rightStart;
  const length = Math.min(leftLength, rightLength);
  for (let at = 0; at < length; at++) {
    const difference = left[leftStart + at]! - right[rightStart + at]!;
    if (difference !== 0) return difference;
  }
  return leftLength - rightLength;
}
