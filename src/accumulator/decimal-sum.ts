import { Fault } from "../fault/fault.ts";
import type { Accumulator } from "./accumulator.ts";
import { addDecimal, DECIMAL_DIGITS_MAX, digitsOf, type ExactDecimal } from "./decimal.ts";

const ZERO: ExactDecimal = { units: 0n, scale: 0 };

/**
 * The exact sum of decimals, with the scale of the finest: 1.5 + 2.25 = 3.75, 1.50 + 2 = 3.50. Like integers, only the
 * finished sum must fit. Faults: `overflow` beyond 38 digits.
 */
export function decimalSum(): Accumulator<ExactDecimal, ExactDecimal, ExactDecimal> {
  return {
    empty: () => ZERO,
    add: addDecimal,
    merge: addDecimal,
    finish(state) {
      if (digitsOf(state.units) > DECIMAL_DIGITS_MAX) {
        throw new Fault("overflow", `sum of decimals has more than ${DECIMAL_DIGITS_MAX} digits`);
      }
      return state;
    },
  };
}
