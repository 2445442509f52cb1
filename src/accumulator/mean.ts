/**
 * The mean of what two sums say: the exact sum divided by the exact count, rounded to a double once. It is worked out
 * from the sums' states and not from their finished values, so a sum of doubles is not rounded twice and a sum that
 * would overflow its own field still has its mean.
 */
import type { ExactDecimal } from "./decimal.ts";
import type { FloatSumState } from "./float-sum.ts";
import { roundRatio } from "./round-ratio.ts";

/** Undefined when the count is zero: there is no mean of nothing. `count` must not be negative. */
export function meanOfIntegers(sum: bigint, count: bigint): number | undefined {
  return count === 0n ? undefined : roundRatio(sum, count);
}

export function meanOfDecimals(sum: ExactDecimal, count: bigint): number | undefined {
  return count === 0n ? undefined : roundRatio(sum.units, count * 10n ** BigInt(sum.scale));
}

export function meanOfFloats(sum: FloatSumState, count: bigint): number | undefined {
  if (count === 0n) return undefined;
  if (sum.special !== undefined) return sum.special;
  const { units, exponent } = sum.finite;
  return exponent >= 0 ? roundRatio(units << BigInt(exponent), count) : roundRatio(units, count << BigInt(-exponent));
}
