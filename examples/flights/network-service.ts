import { defineService } from "../../src/service/define-service.ts";
import { requiredColumn } from "../../src/service/load/column.ts";
import type { SnapshotReader } from "../../src/service/load/snapshot-reader.ts";
import { StringCodes } from "../../src/service/load/string-codes.ts";
import { NetworkService } from "./generated/flights/v1/network_pb.ts";

/** Flights of a route. A shard has some thousand routes, whatever its number of flights. */
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
  memoryBytes: (state) => [...state.values()].reduce((bytes, routes) => bytes + routes.length * ROUTE_BYTES, 0),
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

async function loadRoutes(snapshot: SnapshotReader): Promise<NetworkState> {
  const origins = new StringCodes();
  const destinations = new StringCodes();
  /** By origin's code, then by destination's. */
  const counts: number[][] = [];
  for await (const batch of snapshot.scan("flights", ["origin", "destination"])) {
    const from = requiredColumn(batch, 0, "STRING", "origin");
    const to = requiredColumn(batch, 1, "STRING", "destination");
    const originOf = origins.codesFor(from.dictionary);
    const destinationOf = destinations.codesFor(to.dictionary);
    for (let i = 0; i < batch.rows; i++) {
      const origin = originOf[from.codes[i] as number] as number;
      const destination = destinationOf[to.codes[i] as number] as number;
      counts[origin] ??= [];
      const ofOrigin = counts[origin];
      ofOrigin[destination] = (ofOrigin[destination] ?? 0) + 1;
    }
  }
  return new Map(
    origins.strings.map((origin, code) => [
      origin,
      // Holes, of destinations that this origin has no flights to, are not visited.
      Object.entries(counts[code] ?? []).map(([to, flights]) => ({
        origin,
        destination: destinations.strings[Number(to)] as string,
        flights: BigInt(flights),
      })),
    ]),
  );
}
