import {
  type ColumnBatch,
  defineService,
  type SnapshotChanges,
  type SnapshotReader,
} from "../../src/service/define-service.ts";
import { requiredColumn } from "../../src/service/load/column.ts";
import { NetworkService } from "./generated/flights/v1/network_pb.ts";

/** Flights of a route. A shard has some thousand routes, whatever its number of flights. Never changed: states share them. */
interface RouteCount {
  readonly origin: string;
  readonly destination: string;
  readonly flights: bigint;
}

/** Routes by origin. */
type NetworkState = ReadonlyMap<string, readonly RouteCount[]>;

export default defineService<typeof NetworkService, NetworkState>({
  service: NetworkService,
  load: loadRoutes,
  advance: advanceRoutes,
  memoryBytes: (state) => state.size * ORIGIN_BYTES,
  sharedParts: (state) => [...state.values()].map((routes) => [routes, routes.length * ROUTE_BYTES] as const),
  methods: {
    reach(request, state) {
      const origins = request.origins.length === 0 ? [...state.keys()] : [...new Set(request.origins)];
      const routes = origins.flatMap((origin) => state.get(origin) ?? []);
      const destinations = [...new Set(routes.map((route) => route.destination))];
      return {
        destinations,
        destinationCount: BigInt(destinations.length),
        routes: routes.map(({ origin, destination }) => ({ origin, destination })),
        routeCount: BigInt(routes.length),
      };
    },
    busiest: (_request, state) => ({ routes: [...state.values()].flat() }),
  },
});

/** An object, a bigint and its place in a list. */
const ROUTE_BYTES = 100;
/** An entry of the map. */
const ORIGIN_BYTES = 60;

/** Flights by origin, then by destination. */
type Counts = Map<string, Map<string, number>>;

async function loadRoutes(snapshot: SnapshotReader): Promise<NetworkState> {
  const counts: Counts = new Map();
  for await (const batch of snapshot.scan("flights", COLUMNS)) countRoutes(counts, batch, 1);
  return new Map([...counts].map(([origin, byDestination]) => [origin, routesOf(origin, byDestination)]));
}

/**
 * Counts can be added to and subtracted from, so a snapshot costs the flights that are new since another. Origins without
 * any keep their list, which both states then share; the others get a new one.
 */
async function advanceRoutes(previous: NetworkState, changes: SnapshotChanges): Promise<NetworkState> {
  const counts: Counts = new Map();
  for await (const batch of changes.added("flights", COLUMNS)) countRoutes(counts, batch, 1);
  for await (const batch of changes.removed("flights", COLUMNS)) countRoutes(counts, batch, -1);
  const state = new Map(previous);
  for (const [origin, change] of counts) {
    for (const { destination, flights } of previous.get(origin) ?? []) {
      change.set(destination, (change.get(destination) ?? 0) + Number(flights));
    }
    const routes = routesOf(origin, change);
    if (routes.length > 0) state.set(origin, routes);
    else state.delete(origin);
  }
  return state;
}

const COLUMNS = ["origin", "destination"] as const;

function countRoutes(counts: Counts, batch: ColumnBatch, by: 1 | -1): void {
  const from = requiredColumn(batch, 0, "STRING", "origin");
  const to = requiredColumn(batch, 1, "STRING", "destination");
  // By codes while it counts: a look into a map of strings for each flight would take most of the time.
  const width = to.dictionary.length;
  const byCode = new Map<number, number>();
  for (let i = 0; i < batch.rows; i++) {
    const route = (from.codes[i] as number) * width + (to.codes[i] as number);
    byCode.set(route, (byCode.get(route) ?? 0) + by);
  }
  for (const [route, flights] of byCode) {
    const origin = from.dictionary[Math.floor(route / width)] as string;
    const destination = to.dictionary[route % width] as string;
    const ofOrigin = counts.get(origin) ?? new Map<string, number>();
    ofOrigin.set(destination, (ofOrigin.get(destination) ?? 0) + flights);
    counts.set(origin, ofOrigin);
  }
}

function routesOf(origin: string, counts: ReadonlyMap<string, number>): readonly RouteCount[] {
  return [...counts]
    .filter(([, flights]) => flights > 0)
    .map(([destination, flights]) => ({ origin, destination, flights: BigInt(flights) }));
}
