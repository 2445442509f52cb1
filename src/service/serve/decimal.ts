import { Fault } from "../../fault/fault.ts";

/** unscaled / 10^scale. */
export interface DecimalNumber {
  readonly unscaled: bigint;
  readonly scale: number;
}

const DECIMAL = /^([+-]?)(\d*)(?:\.(\d*))?$/;

/** Reads the text of a skynetes.v1.Decimal; absent and empty are zero. Fault `internal`: not a decimal number. */
export function parseDecimal(text: string | undefined): DecimalNumber {
  if (text === undefined || text === "") return { unscaled: 0n, scale: 0 };
  const match = DECIMAL.exec(text);
  const digits = `${match?.[2] ?? ""}${match?.[3] ?? ""}`;
  if (match === null || digits === "") throw new Fault("internal", `"${text}" is not a decimal number`);
  const magnitude = BigInt(digits);
  return { unscaled: match[1] === "-" ? -magnitude : magnitude, scale: match[3]?.length ?? 0 };
}

export function compareDecimals(a: DecimalNumber, b: DecimalNumber): number {
  const scale = Math.max(a.scale, b.scale);
  const x = a.unscaled * 10n ** BigInt(scale - a.scale);
  const y = b.unscaled * 10n ** BigInt(scale - b.scale);
  return x < y ? -1 : x > y ? 1 : 0;
}
