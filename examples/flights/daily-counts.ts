import { sliced } from "../../src/service/sliced.ts";
import type { FlightColumns } from "./flight-columns.ts";
import { candidates, rowAt } from "./matching-flights.ts";

/** A day's flights; what `DailyCounts` sends for it. */
export interface DayCount {
  readonly day: string;
  readonly flights: bigint;
  readonly delayed: bigint;
}

/** Rows come in order of time, so the day of a row is found by looking whether it is beyond the current day's end. */
export async function dailyCounts(
  flights: FlightColumns,
  origin: string | undefined,
  delayedFrom: number,
  signal: AbortSignal,
): Promise<DayCount[]> {
  const found = candidates(flights, { origin });
  const { days, delay } = flights;
  const count = new Float64Array(days.length);
  const delayed = new Float64Array(days.length);
  let today = 0;
  await sliced(found.count, signal, (from, to) => {
    let day = today;
    for (let i = from; i < to; i++) {
      const row = rowAt(found, i);
      while (row >= endRow(flights, day)) day++;
      count[day] = (count[day] as number) + 1;
      if ((delay[row] as number) >= delayedFrom) delayed[day] = (delayed[day] as number) + 1;
    }
    today = day;
  });
  return days.flatMap(({ day }, i) =>
    count[i] === 0 ? [] : [{ day, flights: BigInt(count[i] as number), delayed: BigInt(delayed[i] as number) }],
  );
}

function endRow(flights: FlightColumns, day: number): number {
  return flights.days[day]?.endRow ?? Number.POSITIVE_INFINITY;
}
