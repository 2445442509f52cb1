import { Fault } from "../../src/fault/fault.ts";
import { defineService, type ServiceDefinition } from "../../src/service/define-service.ts";
import { nextTurn, ROWS_PER_SLICE } from "../../src/service/sliced.ts";
import { dailyCounts } from "./daily-counts.ts";
import { type DestinationTotals, destinationTotals } from "./destination-totals.ts";
import { type FlightColumns, flightBytes, loadAirportNames, loadFlights } from "./flight-columns.ts";
import { DelayService } from "./generated/flights/v1/delay_pb.ts";
import { candidates, type FlightFilter, hasDestination, rowAt } from "./matching-flights.ts";
import { summarizeFlights } from "./summarize-flights.ts";

interface DelayState {
  readonly flights: FlightColumns;
  readonly airportNames: ReadonlyMap<string, string>;
  readonly destinations: readonly DestinationTotals[];
}

/**
 * `DelayService`, for a threshold: a flight counts as delayed from so many minutes on. Version 1 is built with 1 (over 0
 * minutes), version 2 with 15.
 */
export function delayService(delayedFrom: number): ServiceDefinition<typeof DelayService, DelayState> {
  return defineService({
    service: DelayService,
    async load(snapshot) {
      const flights = await loadFlights(snapshot);
      return {
        flights,
        airportNames: await loadAirportNames(snapshot),
        destinations: await destinationTotals(flights, delayedFrom),
      };
    },
    memoryBytes: (state) => flightBytes(state.flights) + state.airportNames.size * AIRPORT_BYTES,
    methods: {
      summarize: (request, { flights }, { signal }) => summarizeFlights(flights, request, delayedFrom, signal),
      // All destinations in any order: the kit orders and cuts them as the request asks, and tells the gateway the bounds.
      topDestinations: (_request, state) => ({ destinations: namedDestinations(state) }),
      dailyCounts: async (request, { flights }, { signal }) => ({
        days: await dailyCounts(flights, request.origin, delayedFrom, signal),
      }),
      // All that match; the kit stops asking when the limit is reached.
      search: (request, { flights }, { signal }) => search(flights, request, signal),
    },
  });
}

/** A code, a name and their entry in the map. */
const AIRPORT_BYTES = 150;

function namedDestinations({ destinations, airportNames }: DelayState) {
  return destinations.map((totals) => ({
    ...totals,
    name: airportNames.get(totals.destination) ?? "",
    meanDelayMinutes: Number(totals.totalDelayMinutes) / Number(totals.flights),
  }));
}

async function* search(flights: FlightColumns, filter: FlightFilter, signal: AbortSignal) {
  const found = candidates(flights, filter);
  for (let i = 0; i < found.count; i++) {
    if (i > 0 && i % ROWS_PER_SLICE === 0) await nextTurn(signal);
    const row = rowAt(found, i);
    if (!hasDestination(flights, found, row)) continue;
    yield {
      time: timestampOf(flights.time[row] as bigint),
      origin: flights.origins.strings[flights.origin[row] as number] as string,
      destination: flights.destinations.strings[flights.destination[row] as number] as string,
      delayMinutes: BigInt(flights.delay[row] as number),
      distanceMiles: BigInt(flights.distance[row] as number),
    };
  }
}

function timestampOf(micros: bigint) {
  // Timestamp's nanos count forwards, before 1970 too.
  const seconds = micros >= 0n ? micros / 1_000_000n : -((999_999n - micros) / 1_000_000n);
  return { seconds, nanos: Number(micros - seconds * 1_000_000n) * 1000 };
}

/** For `skynetes service --module`: the threshold comes from the environment, DELAYED_FROM_MINUTES. */
export default function fromEnvironment(environment: Readonly<Record<string, string | undefined>>) {
  const text = environment.DELAYED_FROM_MINUTES ?? "1";
  if (!/^-?\d{1,9}$/.test(text)) {
    throw new Fault("invalid-service", `DELAYED_FROM_MINUTES is "${text}", must be a whole number of minutes`);
  }
  return delayService(Number(text));
}
