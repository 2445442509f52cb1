import { DOUBLE, type FloatFormat, powerOfTwo, roundRatio } from "./round-ratio.ts";

/**
 * units × 2^exponent, exactly: every finite double is such a number, and so is every sum of them. The exponent is that
 * of the finest input, so numbers of like size stay short: sums of prices work on bigints of about a hundred bits.
 */
export interface Dyadic {
  readonly units: bigint;
  readonly exponent: number;
}

export const DYADIC_ZERO: Dyadic = { units: 0n, exponent: 0 };

const word = new DataView(new ArrayBuffer(8));

/** A finite double as it is. */
export function dyadicOf(value: number): Dyadic {
  if (Number.isSafeInteger(value)) return { units: BigInt(value), exponent: 0 };
  word.setFloat64(0, value);
  const high = word.getUint32(0);
  const biased = (high >>> 20) & 0x7ff;
  const fraction = (high & 0xfffff) * 2 ** 32 + word.getUint32(4);
  const significand = BigInt(biased === 0 ? fraction : fraction + 2 ** 52);
  return { units: value < 0 ? -significand : significand, exponent: Math.max(biased, 1) - 1075 };
}

export function addDyadic(a: Dyadic, b: Dyadic): Dyadic {
  const exponent = Math.min(a.exponent, b.exponent);
  return { units: unitsAt(a, exponent) + unitsAt(b, exponent), exponent };
}

/** The number in units of 2^exponent; `exponent` must not be coarser than the number's own. */
export function unitsAt(number: Dyadic, exponent: number): bigint {
  return number.exponent === exponent ? number.units : number.units << BigInt(number.exponent - exponent);
}

/** Rounded once; infinite beyond the format's range. */
export function roundDyadic({ units, exponent }: Dyadic, format: FloatFormat = DOUBLE): number {
  const isShort = units >= -0x1fffffffffffffn && units <= 0x1fffffffffffffn;
  if (format === DOUBLE && isShort && exponent <= 900) return units === 0n ? 0 : Number(units) * powerOfTwo(exponent);
  return exponent >= 0
    ? roundRatio(units << BigInt(exponent), 1n, format)
    : roundRatio(units, 1n << BigInt(-exponent), format);
}
