/**
 * The exact sum of floats, rounded once.
 *
 * Adding doubles rounds at every step, so (a + b) + c and a + (b + c) differ and the order of arrival would show in the
 * answer. Here the sum is kept as an exact binary number and rounded when it is finished: 1e100 + 1 − 1e100 is 1.
 *
 * NaN, or infinities of both signs, give NaN; one infinity gives itself; a sum of zeros is +0, whatever their signs. A
 * sum of finite numbers that is beyond the type is an `overflow`, not an infinity.
 */
import { Fault } from "../fault/fault.ts";
import type { Accumulator } from "./accumulator.ts";
import { addDyadic, DYADIC_ZERO, type Dyadic, dyadicOf, roundDyadic } from "./dyadic.ts";
import type { FloatFormat } from "./round-ratio.ts";

export interface FloatSumState {
  readonly finite: Dyadic;
  /** NaN or an infinity as soon as one came; it then decides the sum alone. */
  readonly special: number | undefined;
}

const EMPTY: FloatSumState = { finite: DYADIC_ZERO, special: undefined };

export function floatSum(format: FloatFormat): Accumulator<FloatSumState, number, number> {
  return {
    empty: () => EMPTY,
    add(state, input) {
      if (!Number.isFinite(input)) return { finite: state.finite, special: (state.special ?? input) + input };
      return { finite: addDyadic(state.finite, dyadicOf(input)), special: state.special };
    },
    merge: (a, b) => ({
      finite: addDyadic(a.finite, b.finite),
      special: a.special === undefined ? b.special : b.special === undefined ? a.special : a.special + b.special,
    }),
    finish(state) {
      if (state.special !== undefined) return state.special;
      const sum = roundDyadic(state.finite, format);
      if (!Number.isFinite(sum)) throw new Fault("overflow", "sum of finite numbers is beyond the range of the type");
      return sum;
    },
  };
}
