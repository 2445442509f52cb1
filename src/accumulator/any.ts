import type { Accumulator } from "./accumulator.ts";

/** True if any shard said true; false over nothing. */
export const any: Accumulator<boolean, boolean, boolean> = {
  empty: () => false,
  add: (state, input) => state || input,
  merge: (a, b) => a || b,
  finish: (state) => state,
};
