/**
 * A request's value against a column's sealed least and greatest values, which are text (seal.proto says how they are
 * written). Anything that is not plainly comparable gives undefined, and the shard is asked: a shard asked in vain costs
 * a call, a shard left out wrongly costs the truth.
 */
import { parseDecimal } from "../../accumulator/decimal.ts";
import { compareDecimals, compareInstants, compareText, type Instant } from "../../accumulator/value-order.ts";
import type { ValueType } from "../../wire/value-type.ts";

/** Below zero: the value is less than the bound. */
export function compareToBound(type: ValueType, value: unknown, bound: string): number | undefined {
  switch (type.kind) {
    case "integer":
      return compareExact(String(value), bound);
    case "decimal":
      return compareExact((value as { value: string }).value, bound);
    case "real":
      return compareReal(value as number, bound);
    case "bool":
      return bound === "true" || bound === "false" ? Number(value) - Number(bound === "true") : undefined;
    case "text":
      return isMaybeNotText(bound) ? undefined : compareText(value as string, bound);
    case "bytes":
      return /^([0-9a-f]{2})*$/.test(bound)
        ? compareText(Buffer.from(value as Uint8Array).toString("hex"), bound)
        : undefined;
    case "instant":
      return type.name === "google.protobuf.Timestamp" ? compareInstant(value as Instant, bound) : undefined;
    // An enum may be stored by number or by name; the seal does not say.
    case "enum":
    case "message":
    case "map":
      return undefined;
  }
}

function compareExact(text: string, bound: string): number | undefined {
  const left = parseDecimal(text);
  const right = parseDecimal(bound);
  return left && right && compareDecimals(left, right);
}

/** Rounding the bound keeps its order with a double, so "greater than the rounded" is "greater than the true". */
function compareReal(value: number, bound: string): number | undefined {
  const rounded = /^-?\d+(\.\d+)?([eE][+-]?\d+)?$/.test(bound) ? Number(bound) : Number.NaN;
  if (Number.isNaN(value) || !Number.isFinite(rounded)) return undefined;
  return value < rounded ? -1 : value > rounded ? 1 : 0;
}

/** The seal does not give the column's type: text that reads like a number or a date may be of one, ordered otherwise. */
function isMaybeNotText(bound: string): boolean {
  return /^[-+]?\d/.test(bound) || bound === "true" || bound === "false" || /^[-+]?(nan|inf)/i.test(bound);
}

const ISO = /^(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:Z|\+00(?::?00)?)?)?$/;

function compareInstant(value: Instant, bound: string): number | undefined {
  const match = ISO.exec(bound);
  if (match === null) return undefined;
  const [, year, month, day, hour = "0", minute = "0", second = "0", fraction = ""] = match;
  const midnight = new Date(0);
  midnight.setUTCFullYear(Number(year), Number(month) - 1, Number(day));
  const seconds = midnight.getTime() / 1000 + Number(hour) * 3600 + Number(minute) * 60 + Number(second);
  return compareInstants(value, { seconds: BigInt(seconds), nanos: Number(fraction.padEnd(9, "0")) });
}
