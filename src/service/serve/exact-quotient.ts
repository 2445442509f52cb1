const DOUBLE_BITS = 53;

/**
 * The double nearest to numerator / denominator, ties to even: what one division of exact numbers gives, where dividing
 * two rounded doubles would be off by one in the last place for sums beyond 2^53. The denominator must be positive.
 */
export function exactQuotient(numerator: bigint, denominator: bigint): number {
  const [n, d] = [Number(numerator), Number(denominator)];
  // Both exact: IEEE division rounds once, as wanted.
  if (Number.isSafeInteger(n) && Number.isSafeInteger(d)) return n / d;
  const magnitude = numerator < 0n ? -numerator : numerator;
  // Scale by a power of two so that the integer quotient has at least two bits more than a double keeps; a sticky lowest
  // bit stands for the remainder, and the conversion to a double then rounds right.
  const shift = Math.max(0, DOUBLE_BITS + 2 - (bitLength(magnitude) - bitLength(denominator)));
  const shifted = magnitude << BigInt(shift);
  let quotient = shifted / denominator;
  if (quotient * denominator !== shifted) quotient |= 1n;
  const value = Number(quotient) / 2 ** shift;
  return numerator < 0n ? -value : value;
}

function bitLength(value: bigint): number {
  return value.toString(2).length;
}
