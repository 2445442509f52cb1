import type { Accumulator } from "./accumulator.ts";

/** True if every shard said true; true over nothing. */
export const all: Accumulator<boolean, boolean, boolean> = {
  empty: () => true,
  add: (state, input) => state && input,
  merge: (a, b) => a && b,
  finish: (state) => state,
};
