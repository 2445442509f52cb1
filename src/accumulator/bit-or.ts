import type { Accumulator } from "./accumulator.ts";

/** Bitwise or. Negative numbers count as two's complement of any width, so the result fits wherever the inputs did. */
export const bitOr: Accumulator<bigint, bigint, bigint> = {
  empty: () => 0n,
  add: (state, input) => state | input,
  merge: (a, b) => a | b,
  finish: (state) => state,
};
