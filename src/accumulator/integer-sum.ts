import { Fault } from "../fault/fault.ts";
import type { Accumulator } from "./accumulator.ts";

/** What an integer type of the wire can hold, both ends inclusive. */
export interface IntegerRange {
  readonly name: string;
  readonly min: bigint;
  readonly max: bigint;
}

/**
 * The exact sum of integers. Only the finished sum is held against the range: partial sums may leave it and come back,
 * which is what makes the result independent of the order of arrival. Faults: `overflow`.
 */
export function integerSum(range: IntegerRange): Accumulator<bigint, bigint, bigint> {
  return {
    empty: () => 0n,
    add: (state, input) => state + input,
    merge: (a, b) => a + b,
    finish(state) {
      if (state < range.min || state > range.max)
        throw new Fault("overflow", `sum ${state} does not fit ${range.name}`);
      return state;
    },
  };
}
