/** units / 10^scale, exactly: the number that `skynetes.v1.Decimal` writes as text. */
export interface ExactDecimal {
  readonly units: bigint;
  readonly scale: number;
}

export const DECIMAL_DIGITS_MAX = 38;

const DECIMAL = /^([+-]?)(\d{1,80})(?:\.(\d{1,38}))?$/;

/** Undefined when the text is no decimal number of at most 38 digits. */
export function parseDecimal(text: string): ExactDecimal | undefined {
  const match = DECIMAL.exec(text);
  if (match === null) return undefined;
  const [, sign, whole = "", fraction = ""] = match;
  const units = BigInt(whole + fraction);
  if (digitsOf(units) > DECIMAL_DIGITS_MAX) return undefined;
  return { units: sign === "-" ? -units : units, scale: fraction.length };
}

export function formatDecimal({ units, scale }: ExactDecimal): string {
  const digits = (units < 0n ? -units : units).toString().padStart(scale + 1, "0");
  const whole = digits.slice(0, digits.length - scale);
  const text = scale === 0 ? whole : `${whole}.${digits.slice(-scale)}`;
  return units < 0n ? `-${text}` : text;
}

export function digitsOf(units: bigint): number {
  return (units < 0n ? -units : units).toString().length;
}

/** The number in units of 10^-scale; `scale` must not be less than the number's own. */
export function decimalUnitsAt(decimal: ExactDecimal, scale: number): bigint {
  return decimal.scale === scale ? decimal.units : decimal.units * 10n ** BigInt(scale - decimal.scale);
}

export function addDecimal(a: ExactDecimal, b: ExactDecimal): ExactDecimal {
  const scale = Math.max(a.scale, b.scale);
  return { units: decimalUnitsAt(a, scale) + decimalUnitsAt(b, scale), scale };
}
