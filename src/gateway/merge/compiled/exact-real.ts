/**
 * Exact sums of floats in columns: two doubles whose sum is the exact sum, as long as two are enough, and an exact
 * binary number as soon as they are not.
 *
 * Adding two doubles loses something, but what is lost is a double too and can be worked out (Knuth's two-sum). So a
 * sum of prices stays two doubles, 106 bits and more, and what it rounds to is its upper part.
 */
import { addDyadic, DYADIC_ZERO, dyadicOf } from "../../../accumulator/dyadic.ts";
import { type FloatSumState, floatSum } from "../../../accumulator/float-sum.ts";
import { DOUBLE, SINGLE } from "../../../accumulator/round-ratio.ts";
import type { Column } from "./column.ts";

const double = floatSum(DOUBLE);
const single = floatSum(SINGLE);

/** States that two doubles cannot hold, by column and row. The double then is NaN. */
const beyond = new WeakMap<Column, Map<number, FloatSumState>>();

export function addReal(state: Column, row: number, value: number): void {
  const high = state.values[row]!;
  const sum = high + value;
  const back = sum - high;
  const lost = high - (sum - back) + (value - back);
  if (lost === 0 && state.low[row] === 0) {
    state.values[row] = sum;
    return;
  }
  const low = state.low[row]!;
  const rest = low + lost;
  const restBack = rest - low;
  const upper = sum + rest;
  const upperBack = upper - sum;
  const under = sum - (upper - upperBack) + (rest - upperBack);
  // NaN, which infinities and overflows lead to, is not zero either.
  if (low - (rest - restBack) + (lost - restBack) !== 0 || Number.isNaN(under)) {
    addBeyond(state, row, value);
    return;
  }
  state.values[row] = upper;
  state.low[row] = under;
}

function addBeyond(state: Column, row: number, value: number): void {
  const before = realState(state, row);
  const states = beyond.get(state) ?? new Map<number, FloatSumState>();
  beyond.set(state, states);
  states.set(row, double.add(before, value, 0));
  state.values[row] = Number.NaN;
  state.low[row] = 0;
}

/** The sum as the interpreter holds it. */
export function realState(state: Column, row: number): FloatSumState {
  const high = state.values[row]!;
  if (Number.isNaN(high)) return beyond.get(state)!.get(row)!;
  const low = state.low[row]!;
  const finite = low === 0 ? dyadicOf(high) : addDyadic(dyadicOf(high), dyadicOf(low));
  return { finite: high === 0 && low === 0 ? DYADIC_ZERO : finite, special: undefined };
}

/** The sum rounded once. Faults: `overflow`. */
export function finishReal(state: Column, row: number, isSingle: boolean): number {
  const high = state.values[row]!;
  // Rounding the exact sum gives its upper part; to a float of 32 bits it would be rounding twice.
  if (!isSingle && !Number.isNaN(high)) return high;
  return (isSingle ? single : double).finish(realState(state, row));
}
