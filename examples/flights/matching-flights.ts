import type { Timestamp } from "@bufbuild/protobuf/wkt";
import { Fault } from "../../src/fault/fault.ts";
import { type FlightColumns, firstAtLeast, firstRowAt } from "./flight-columns.ts";

/** What `Summarize` and `Search` can ask for; absent: any. */
export interface FlightFilter {
  readonly origin?: string | undefined;
  readonly destination?: string | undefined;
  readonly from?: Timestamp | undefined;
  readonly to?: Timestamp | undefined;
}

/**
 * Rows that may match, in order of time: `count` of them, the i-th being `rowAt(found, i)`. All have the time and origin
 * asked for; whether they go to the right destination, `hasDestination` tells.
 */
export interface Candidates {
  readonly count: number;
  readonly first: number;
  /** Absent: all rows from `first` on. */
  readonly rows?: Uint32Array;
  /** -1: any. */
  readonly destination: number;
}

const NONE: Candidates = { count: 0, first: 0, destination: -1 };

/** Fault `invalid-request`: a timestamp that is none. A range that ends before it begins is empty. */
export function candidates(flights: FlightColumns, filter: FlightFilter): Candidates {
  const from = filter.from === undefined ? 0 : firstRowAt(flights.time, microsOf(filter.from, "from"));
  const to = filter.to === undefined ? flights.rows : firstRowAt(flights.time, microsOf(filter.to, "to"));
  const destination = filter.destination === undefined ? -1 : flights.destinations.codeOf(filter.destination);
  if (destination === undefined || from >= to) return NONE;
  if (filter.origin === undefined) return { first: from, count: to - from, destination };
  const origin = flights.origins.codeOf(filter.origin);
  if (origin === undefined) return NONE;
  const { start, rows } = flights.byOrigin;
  const ofOrigin = rows.subarray(start[origin], start[origin + 1]);
  const first = firstAtLeast(ofOrigin.length, (i) => (ofOrigin[i] as number) >= from);
  const end = firstAtLeast(ofOrigin.length, (i) => (ofOrigin[i] as number) >= to);
  return { first, count: end - first, rows: ofOrigin, destination };
}

export function rowAt(found: Candidates, index: number): number {
  return found.rows === undefined ? found.first + index : (found.rows[found.first + index] as number);
}

export function hasDestination(flights: FlightColumns, found: Candidates, row: number): boolean {
  return found.destination === -1 || flights.destination[row] === found.destination;
}

// The bounds that google.protobuf.Timestamp gives itself: years 1 to 9999.
const SECONDS_MIN = -62_135_596_800n;
const SECONDS_MAX = 253_402_300_799n;

/**
 * A time in microseconds, as the table keeps it. Nanoseconds are rounded up: a row at or after 0.5 µs is one at or after
 * 1 µs, and a row before 0.5 µs is one before 1 µs.
 */
export function microsOf({ seconds, nanos }: Timestamp, field: string): bigint {
  if (seconds < SECONDS_MIN || seconds > SECONDS_MAX || nanos < 0 || nanos > 999_999_999) {
    const message = `${field} is not a timestamp: ${seconds} s and ${nanos} ns`;
    throw new Fault("invalid-request", message, { errors: [{ pointer: `/${field}`, detail: message }] });
  }
  return seconds * 1_000_000n + BigInt(Math.ceil(nanos / 1000));
}
