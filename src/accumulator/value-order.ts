/**
 * How values are ordered, the same in the store, the service kit and here:
 *  - text by its UTF-8 bytes, which is by code points; JavaScript's own `<` compares UTF-16 units and puts "😀" (a
 *    surrogate pair, D83D…) before "｡" (FF61), so it must not decide answers;
 *  - floats numerically, NaN equal to itself and greater than every number;
 *  - absent values after all others, ascending and descending alike (SQL's NULLS LAST).
 */
import { decimalUnitsAt, type ExactDecimal } from "./decimal.ts";

export type Order<T> = (a: T, b: T) => number;

export interface Instant {
  readonly seconds: bigint;
  readonly nanos: number;
}

export function compareText(a: string, b: string): number {
  if (a === b) return 0;
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const left = a.charCodeAt(i);
    const right = b.charCodeAt(i);
    if (left !== right) return codePointRank(left) - codePointRank(right);
  }
  return a.length - b.length;
}

/** Moves the surrogates, which stand for code points above FFFF, behind E000–FFFF. */
function codePointRank(unit: number): number {
  if (unit < 0xd800) return unit;
  return unit < 0xe000 ? unit + 0x2000 : unit - 0x800;
}

export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const difference = a[i]! - b[i]!;
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

/** Integers, as bigints or as numbers. */
export function compareIntegers<T extends bigint | number>(a: T, b: T): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** −0 equals +0. */
export function compareReals(a: number, b: number): number {
  if (a < b) return -1;
  if (a > b) return 1;
  return (Number.isNaN(a) ? 1 : 0) - (Number.isNaN(b) ? 1 : 0);
}

/** Like `compareReals` with −0 before +0, so that what compares equal is equal: for choosing one of several values. */
export function compareRealsTotally(a: number, b: number): number {
  return compareReals(a, b) || (Object.is(a, -0) ? 0 : 1) - (Object.is(b, -0) ? 0 : 1);
}

export function compareDecimals(a: ExactDecimal, b: ExactDecimal): number {
  const scale = Math.max(a.scale, b.scale);
  return compareIntegers(decimalUnitsAt(a, scale), decimalUnitsAt(b, scale));
}

/** Equal numbers in different writing (1.5, 1.50) by their scale. */
export function compareDecimalsTotally(a: ExactDecimal, b: ExactDecimal): number {
  return compareDecimals(a, b) || a.scale - b.scale;
}

export function compareInstants(a: Instant, b: Instant): number {
  return compareIntegers(a.seconds, b.seconds) || a.nanos - b.nanos;
}

export function compareBooleans(a: boolean, b: boolean): number {
  return Number(a) - Number(b);
}

export function absentLast<T>(order: Order<T>, descending: boolean): Order<T | undefined> {
  const sign = descending ? -1 : 1;
  return (a, b) => {
    if (a === undefined) return b === undefined ? 0 : 1;
    return b === undefined ? -1 : sign * order(a, b);
  };
}

/** By each part in turn, until one tells the two apart. */
export function byParts<T>(
  parts: readonly { readonly read: (whole: T) => unknown; readonly order: Order<unknown> }[],
): Order<T> {
  return (a, b) => {
    for (const { read, order } of parts) {
      const difference = order(read(a), read(b));
      if (difference !== 0) return difference;
    }
    return 0;
  };
}
