import { sliced } from "../../src/service/sliced.ts";
import type { FlightColumns } from "./flight-columns.ts";

/** Totals of one destination; what one call of `TopDestinations` sends for it, but for the name. */
export interface DestinationTotals {
  readonly destination: string;
  readonly flights: bigint;
  readonly delayed: bigint;
  readonly totalDelayMinutes: bigint;
}

/** They depend on no request, so they are worked out once, when the shard is loaded. */
export async function destinationTotals(
  flights: FlightColumns,
  delayedFrom: number,
): Promise<readonly DestinationTotals[]> {
  const names = flights.destinations.strings;
  const count = new Float64Array(names.length);
  const delayed = new Float64Array(names.length);
  // As in summarizeFlights: doubles within a slice, bigints beyond.
  const totals = names.map(() => 0n);
  const sliceTotal = new Float64Array(names.length);
  await sliced(flights.rows, undefined, (from, to) => {
    for (let row = from; row < to; row++) {
      const code = flights.destination[row] as number;
      const minutes = flights.delay[row] as number;
      count[code] = (count[code] as number) + 1;
      if (minutes >= delayedFrom) delayed[code] = (delayed[code] as number) + 1;
      sliceTotal[code] = (sliceTotal[code] as number) + minutes;
    }
    for (let code = 0; code < names.length; code++) {
      totals[code] = (totals[code] as bigint) + BigInt(sliceTotal[code] as number);
    }
    sliceTotal.fill(0);
  });
  return names.map((destination, code) => ({
    destination,
    flights: BigInt(count[code] as number),
    delayed: BigInt(delayed[code] as number),
    totalDelayMinutes: totals[code] as bigint,
  }));
}
