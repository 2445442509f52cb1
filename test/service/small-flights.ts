import { DelayService } from "../../examples/flights/generated/flights/v1/delay_pb.ts";
import { defineService, type ServiceDefinition } from "../../src/service/define-service.ts";
import { type FixtureShard, type FixtureTable, writeShard } from "./shard-fixture.ts";

/** `rows` flights from LAX; enough for tests that look at the kit and not at the data. */
export function smallFlights(rows = 3): FixtureTable {
  return {
    name: "flights",
    columns: [
      { name: "date", type: "TIMESTAMP" },
      { name: "delay", type: "INT64" },
      { name: "distance", type: "INT64" },
      { name: "origin", type: "STRING" },
      { name: "destination", type: "STRING" },
    ],
    segments: [
      `SELECT TIMESTAMP '2001-01-01' + INTERVAL 1 MINUTE * i AS date, i AS delay, 100 AS distance, 'LAX' AS origin,
       'D' || i AS destination FROM range(${rows}) t(i)`,
    ],
  };
}

export function writeSmallShard(directory: string, shard = 0, snapshot = "s1"): Promise<FixtureShard> {
  // Rows differ by shard and snapshot, so that digests do too.
  return writeShard(directory, { shard, snapshot }, [smallFlights(3 + shard + snapshot.length)]);
}

type Methods = ServiceDefinition<typeof DelayService, number>["methods"];

/** DelayService whose state is its number of rows, with handlers that a test replaces. */
export function scripted(
  methods: Partial<Methods> = {},
  rest: Partial<Pick<ServiceDefinition<typeof DelayService, number>, "load" | "advance" | "memoryBytes">> = {},
): ServiceDefinition<typeof DelayService, number> {
  return defineService<typeof DelayService, number>({
    service: DelayService,
    load: async (snapshot) => Number(snapshot.tables[0]?.rows ?? 0n),
    memoryBytes: () => 1000,
    ...rest,
    methods: {
      summarize: (_request, rows) => ({ flights: BigInt(rows) }),
      topDestinations: () => ({ destinations: [] }),
      dailyCounts: () => ({ days: [] }),
      search: () => [],
      ...methods,
    },
  });
}
