/**
 * Rounding an exact fraction to a binary float once, half to even, as IEEE 754 would from infinite precision. Sums and
 * means are kept exact until here, so nothing that happened before (order, sharding) can show in the last bit.
 */
export interface FloatFormat {
  /** Bits of the significand. */
  readonly precision: number;
  /** Exponent of the least subnormal number. */
  readonly exponentMin: number;
  /** Exponent of the greatest number's leading bit. */
  readonly exponentMax: number;
}

export const DOUBLE: FloatFormat = { precision: 53, exponentMin: -1074, exponentMax: 1023 };
export const SINGLE: FloatFormat = { precision: 24, exponentMin: -149, exponentMax: 127 };

const SAFE = BigInt(Number.MAX_SAFE_INTEGER);

/** `numerator / denominator`, `denominator` positive. Beyond the format's range the result is infinite. */
export function roundRatio(numerator: bigint, denominator: bigint, format: FloatFormat = DOUBLE): number {
  if (numerator === 0n) return 0;
  const magnitude = numerator < 0n ? -numerator : numerator;
  // One division of two exact doubles is already rounded correctly.
  if (format === DOUBLE && magnitude <= SAFE && denominator <= SAFE) return Number(numerator) / Number(denominator);
  const rounded = roundMagnitude(magnitude, denominator, format);
  return numerator < 0n ? -rounded : rounded;
}

function roundMagnitude(magnitude: bigint, denominator: bigint, format: FloatFormat): number {
  // A quotient of at least two bits more than the significand: they and the remainder decide the rounding.
  const scale = format.precision + 2 - (bitLength(magnitude) - bitLength(denominator));
  const dividend = scale > 0 ? magnitude << BigInt(scale) : magnitude;
  const divisor = scale < 0 ? denominator << BigInt(-scale) : denominator;
  const quotient = dividend / divisor;
  const sticky = quotient * divisor !== dividend;
  // The exponent of the result's last bit; below the least subnormal there are no bits to keep.
  const lastBit = Math.max(bitLength(quotient) - format.precision - scale, format.exponentMin);
  const dropped = BigInt(lastBit + scale);
  let kept = quotient >> dropped;
  const rest = quotient - (kept << dropped);
  const half = 1n << (dropped - 1n);
  if (rest > half || (rest === half && (sticky || (kept & 1n) === 1n))) kept += 1n;
  if (kept === 0n) return 0;
  if (bitLength(kept) - 1 + lastBit > format.exponentMax) return Number.POSITIVE_INFINITY;
  return Number(kept) * powerOfTwo(lastBit);
}

const word = new DataView(new ArrayBuffer(8));

/** 2^exponent for -1074 <= exponent <= 1023, from its bits: `**` promises no last bit. */
export function powerOfTwo(exponent: number): number {
  const bits = exponent >= -1022 ? BigInt(exponent + 1023) << 52n : 1n << BigInt(exponent + 1074);
  word.setBigUint64(0, bits);
  return word.getFloat64(0);
}

/** How many binary digits a positive number has. */
export function bitLength(value: bigint): number {
  const hex = value.toString(16);
  return hex.length * 4 - (Math.clz32(Number.parseInt(hex[0] ?? "0", 16)) - 28);
}
