import type { MessageInitShape } from "@bufbuild/protobuf";
import { sliced } from "../../src/service/sliced.ts";
import type { FlightColumns } from "./flight-columns.ts";
import type { SummarizeResponseSchema } from "./generated/flights/v1/delay_pb.ts";
import { type Candidates, candidates, type FlightFilter, hasDestination, rowAt } from "./matching-flights.ts";

// Where min and max begin: infinities would make the comparisons of the loops ones of doubles.
const INT32_MAX = 2 ** 31 - 1;
const INT32_MIN = -(2 ** 31);

/** Totals over some rows, few enough (a slice) that doubles hold sums of 32-bit numbers exactly. */
interface SliceTotals {
  readonly count: number;
  readonly delayed: number;
  readonly delay: number;
  readonly distance: number;
  readonly min: number;
  readonly max: number;
}

/** Totals over the flights that match; beyond a slice the sums are bigints. */
export async function summarizeFlights(
  flights: FlightColumns,
  filter: FlightFilter,
  delayedFrom: number,
  signal: AbortSignal,
): Promise<MessageInitShape<typeof SummarizeResponseSchema>> {
  const found = candidates(flights, filter);
  // A range of time alone is a range of rows, and a loop that need not look which rows match is three times as fast.
  const totalsOf = found.rows === undefined && found.destination === -1 ? totalsOfRange : totalsOfMatching;
  let count = 0;
  let delayed = 0;
  let delay = 0n;
  let distance = 0n;
  let min = INT32_MAX;
  let max = INT32_MIN;
  await sliced(found.count, signal, (from, to) => {
    const totals = totalsOf(flights, found, from, to, delayedFrom);
    count += totals.count;
    delayed += totals.delayed;
    delay += BigInt(totals.delay);
    distance += BigInt(totals.distance);
    min = Math.min(min, totals.min);
    max = Math.max(max, totals.max);
  });
  const totals = {
    flights: BigInt(count),
    delayed: BigInt(delayed),
    totalDelayMinutes: delay,
    totalDistanceMiles: distance,
  };
  if (count === 0) return totals;
  return {
    ...totals,
    minDelayMinutes: BigInt(min),
    maxDelayMinutes: BigInt(max),
    // What one shard alone would answer; the gateway works out the global mean from the sums.
    meanDelayMinutes: Number(delay) / count,
  };
}

function totalsOfRange(
  flights: FlightColumns,
  found: Candidates,
  from: number,
  to: number,
  delayedFrom: number,
): SliceTotals {
  const { delay: delays, distance: distances } = flights;
  let delayed = 0;
  let delay = 0;
  let distance = 0;
  let min = INT32_MAX;
  let max = INT32_MIN;
  for (let row = found.first + from; row < found.first + to; row++) {
    const minutes = delays[row] as number;
    delayed += minutes >= delayedFrom ? 1 : 0;
    if (minutes < min) min = minutes;
    if (minutes > max) max = minutes;
    delay += minutes;
    distance += distances[row] as number;
  }
  return { count: to - from, delayed, delay, distance, min, max };
}

function totalsOfMatching(
  flights: FlightColumns,
  found: Candidates,
  from: number,
  to: number,
  delayedFrom: number,
): SliceTotals {
  const { delay: delays, distance: distances } = flights;
  let count = 0;
  let delayed = 0;
  let delay = 0;
  let distance = 0;
  let min = INT32_MAX;
  let max = INT32_MIN;
  for (let i = from; i < to; i++) {
    const row = rowAt(found, i);
    if (!hasDestination(flights, found, row)) continue;
    const minutes = delays[row] as number;
    count++;
    delayed += minutes >= delayedFrom ? 1 : 0;
    if (minutes < min) min = minutes;
    if (minutes > max) max = minutes;
    delay += minutes;
    distance += distances[row] as number;
  }
  return { count, delayed, delay, distance, min, max };
}
