import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type MessageInitShape, toJson } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import delayFromEnvironment from "../../examples/flights/delay-service.ts";
import {
  DelayService,
  Order,
  type SearchRequestSchema,
  SearchResponseSchema,
  type SummarizeRequestSchema,
} from "../../examples/flights/generated/flights/v1/delay_pb.ts";
import { NetworkService } from "../../examples/flights/generated/flights/v1/network_pb.ts";
import networkService from "../../examples/flights/network-service.ts";
import { type Served, served, VERSION } from "../service/running.ts";
import { type FixtureShard, type FixtureTable, writeShard } from "../service/shard-fixture.ts";
import { FlightOracle } from "./flight-oracle.ts";

const PARQUET = join(import.meta.dirname, "../../node_modules/vega-datasets/data/flights-3m.parquet");
const AIRPORTS = join(import.meta.dirname, "../../node_modules/vega-datasets/data/airports.csv");

/** Few values, so that ties and equal rows are common; times on both sides of 1970 and of midnight. */
const RANDOM = `SELECT make_timestamp((hash(i) % 400)::BIGINT * 1800000000 - 360000000000 + (hash(i * 3) % 2)::BIGINT) AS date,
  (hash(i * 7) % 41)::BIGINT - 10 AS delay, (hash(i * 11) % 5)::BIGINT * 100 AS distance,
  chr((65 + hash(i * 13) % 4)::INTEGER) AS origin, chr((65 + hash(i * 17) % 6)::INTEGER) || 'é' AS destination
  FROM range(1, 3000) t(i)`;
/** About the share that one of four shards has. */
const REAL = `SELECT date, delay, distance, origin, destination FROM read_parquet('${PARQUET}') WHERE hash(origin) % 4 = 2`;

const FLIGHT_COLUMNS = [
  { name: "date", type: "TIMESTAMP" },
  { name: "delay", type: "INT64" },
  { name: "distance", type: "INT64" },
  { name: "origin", type: "STRING" },
  { name: "destination", type: "STRING" },
];

function tables(select: string): readonly FixtureTable[] {
  const half = (side: number) => `SELECT * FROM (${select}) WHERE hash(date, delay, destination) % 2 = ${side}`;
  return [
    { name: "flights", columns: FLIGHT_COLUMNS, segments: [half(0), half(1)] },
    {
      name: "airports",
      broadcast: true,
      columns: ["iata", "name"].map((name) => ({ name, type: "STRING", nullable: true })),
      segments: [`SELECT iata, name FROM read_csv('${AIRPORTS}')`],
    },
  ];
}

describe.each([
  { data: "a random sample", select: RANDOM, days: ["1969-12-30", "1970-01-02", "1970-01-05"] },
  { data: "real flights", select: REAL, days: ["2001-01-01", "2001-02-14", "2001-06-30"] },
])("on $data", ({ select, days }) => {
  let directory: string;
  let shard: FixtureShard;
  let oracle: FlightOracle;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "skynetes-flights-"));
    shard = await writeShard(directory, { shard: 2, snapshot: "h1-2001" }, tables(select));
    oracle = await FlightOracle.open(
      `SELECT * FROM read_parquet([${shard.segments
        .slice(0, 2)
        .map((file) => `'${file}'`)
        .join()}])`,
    );
  });
  afterAll(async () => {
    oracle.close();
    await rm(directory, { recursive: true, force: true });
  });
  const target = { version: VERSION, shard: 2, snapshot: "h1-2001" };

  describe.each([
    { version: "v1", minutes: "1", delayed: "delay > 0" },
    { version: "v2", minutes: "15", delayed: "delay >= 15" },
  ])("DelayService $version", ({ minutes, delayed }) => {
    let service: Served;
    beforeAll(async () => {
      service = await served(delayFromEnvironment({ DELAYED_FROM_MINUTES: minutes }));
      const { memoryBytes } = await service.bind(shard);
      expect(memoryBytes).toBeGreaterThan(0n);
    });
    afterAll(() => service.close());

    const airports = ["A", "LAX", "ATL", "SEA", "none"];
    const destinations = ["Aé", "Cé", "SFO", "PHX", "none"];
    const anyFilter = fc.record(
      {
        origin: fc.constantFrom(...airports),
        destination: fc.constantFrom(...destinations),
        from: fc.constantFrom(...days),
        to: fc.constantFrom(...days),
      },
      { requiredKeys: [] },
    );
    type Filter = { origin?: string; destination?: string; from?: string; to?: string };

    function requestOf({ origin, destination, from, to }: Filter): MessageInitShape<typeof SummarizeRequestSchema> {
      return {
        ...(origin === undefined ? {} : { origin }),
        ...(destination === undefined ? {} : { destination }),
        ...(from === undefined ? {} : { from: timestampFromDate(new Date(from)) }),
        ...(to === undefined ? {} : { to: timestampFromDate(new Date(to)) }),
      };
    }

    function where({ origin, destination, from, to }: Filter): string {
      const conditions = [
        origin === undefined ? "true" : `origin = '${origin}'`,
        destination === undefined ? "true" : `destination = '${destination}'`,
        from === undefined ? "true" : `date >= TIMESTAMP '${from}'`,
        to === undefined ? "true" : `date < TIMESTAMP '${to}'`,
      ];
      return conditions.join(" AND ");
    }

    async function expectSummary(filter: Filter): Promise<void> {
      const partial = await service.caller.call(DelayService.method.summarize, requestOf(filter), target);
      const [expected] = await oracle.rows(
        `SELECT count(*) AS flights, count(*) FILTER (${delayed}) AS delayed, coalesce(sum(delay), 0)::BIGINT AS delay,
         coalesce(sum(distance), 0)::BIGINT AS distance, min(delay) AS least, max(delay) AS greatest
         FROM flights WHERE ${where(filter)}`,
      );
      const { messages } = partial;
      const [summary] = messages;
      expect({
        flights: summary?.flights,
        delayed: summary?.delayed,
        delay: summary?.totalDelayMinutes,
        distance: summary?.totalDistanceMiles,
        least: summary?.minDelayMinutes ?? null,
        greatest: summary?.maxDelayMinutes ?? null,
      }).toEqual(expected);
      const { delay, flights } = expected as { delay: bigint; flights: bigint };
      expect(summary?.meanDelayMinutes).toBe(flights === 0n ? undefined : Number(delay) / Number(flights));
    }

    test("Summarize equals SQL for any filter, and has no least or greatest of nothing", async () => {
      await expectSummary({});
      await expectSummary({ origin: "none" });
      await expectSummary({ from: days[2] as string, to: days[0] as string });
      await fc.assert(fc.asyncProperty(anyFilter, expectSummary), { numRuns: 40 });
    });

    test("Summarize takes nanoseconds: inclusive from, exclusive to", async () => {
      const [first] = await oracle.rows(
        "SELECT min(epoch_us(date)) AS first, count(*) FILTER (date = (SELECT min(date) FROM flights)) AS n FROM flights",
      );
      const { first: micros, n } = first as { first: bigint; n: bigint };
      const seconds = BigInt(Math.floor(Number(micros) / 1e6));
      const nanos = Number(micros - seconds * 1_000_000n) * 1000;
      const count = async (request: MessageInitShape<typeof SummarizeRequestSchema>) =>
        (await service.caller.call(DelayService.method.summarize, request, target)).messages[0]?.flights;
      expect(await count({ to: { seconds, nanos } })).toBe(0n);
      expect(await count({ to: { seconds, nanos: nanos + 1 } })).toBe(n);
      expect(await count({ from: { seconds, nanos: nanos + 1 }, to: { seconds, nanos: nanos + 2 } })).toBe(0n);
      expect(await count({ from: { seconds, nanos }, to: { seconds, nanos: nanos + 1 } })).toBe(n);
    });

    test("timestamps that are none are refused, naming the field", async () => {
      for (const from of [
        { seconds: 0n, nanos: -1 },
        { seconds: 0n, nanos: 1_000_000_000 },
        { seconds: 1n << 60n, nanos: 0 },
      ]) {
        await expect(service.caller.call(DelayService.method.summarize, { from }, target)).rejects.toMatchObject({
          id: "invalid-request",
          message: expect.stringContaining("from is not a timestamp"),
        });
        await expect(service.caller.call(DelayService.method.search, { to: from }, target)).rejects.toMatchObject({
          id: "invalid-request",
        });
      }
    });

    const orders: readonly [Order, string, string][] = [
      [Order.FLIGHTS, "flights", "flights"],
      [Order.TOTAL_DELAY, "delay", "total_delay_minutes"],
      [Order.MEAN_DELAY, "delay / flights", "mean_delay_minutes"],
    ];
    test.each(orders)("TopDestinations equals SQL in order %s, with names and bounds", async (order, by, field) => {
      for (const { limit, offset } of [
        { limit: 12, offset: 0 },
        { limit: 3, offset: 2 },
        { limit: 0, offset: 0 },
      ]) {
        const partial = await service.caller.call(
          DelayService.method.topDestinations,
          { order, limit, offset },
          target,
        );
        const all = (await oracle.rows(
          `SELECT * FROM (SELECT destination, coalesce((SELECT any_value(name) FROM read_csv('${AIRPORTS}') a WHERE a.iata = f.destination), '') AS name,
           count(*) AS flights, count(*) FILTER (${delayed}) AS delayed, sum(delay)::BIGINT AS delay FROM flights f GROUP BY destination)
           ORDER BY ${by} DESC, destination`,
        )) as unknown as readonly {
          destination: string;
          name: string;
          flights: bigint;
          delayed: bigint;
          delay: bigint;
        }[];
        const expected = limit === 0 ? all : all.slice(0, limit + offset);
        const sent = partial.messages[0]?.destinations ?? [];
        expect(
          sent.map(({ destination, name, flights, delayed, totalDelayMinutes: delay }) => ({
            destination,
            name,
            flights,
            delayed,
            delay,
          })),
        ).toEqual(expected);
        expect(sent.map((group) => group.meanDelayMinutes)).toEqual(
          expected.map(({ delay, flights }) => Number(delay) / Number(flights)),
        );
        expect(partial.bounds).toMatchObject({
          field,
          groups: BigInt(all.length),
          exhausted: sent.length === all.length,
        });
      }
    });

    test("TopDestinations gives the destinations asked for and no others", async () => {
      const only = ["Aé", "SFO", "none"];
      const partial = await service.caller.call(DelayService.method.topDestinations, { only }, target);
      const expected = await oracle.rows(
        `SELECT destination FROM flights WHERE destination IN ('Aé', 'SFO', 'none') GROUP BY 1 ORDER BY count(*) DESC, 1`,
      );
      expect(partial.messages[0]?.destinations.map(({ destination }) => ({ destination }))).toEqual(expected);
      expect(partial.bounds).toBeUndefined();
    });

    test("DailyCounts equals SQL", async () => {
      for (const origin of [undefined, ...airports]) {
        const partial = await service.caller.call(
          DelayService.method.dailyCounts,
          origin === undefined ? {} : { origin },
          target,
        );
        const expected = await oracle.rows(
          `SELECT strftime(date, '%Y-%m-%d') AS day, count(*) AS flights, count(*) FILTER (${delayed}) AS delayed FROM flights
           WHERE ${where(origin === undefined ? {} : { origin })} GROUP BY 1 ORDER BY 1`,
        );
        const days = partial.messages[0]?.days.map(({ day, flights, delayed: late }) => ({
          day,
          flights,
          delayed: late,
        }));
        expect(days).toEqual(expected);
      }
    });

    test("Search streams what SQL finds, in order, no more than asked for", async () => {
      const expectRows = async (filter: Filter, limit: number, offset: number) => {
        const partial = await service.caller.call(
          DelayService.method.search,
          { ...(requestOf(filter) as MessageInitShape<typeof SearchRequestSchema>), limit, offset },
          target,
        );
        const expected = await oracle.rows(
          `SELECT epoch_us(date) AS time, origin, destination, delay, distance FROM flights WHERE ${where(filter)}
           ORDER BY ALL LIMIT ${limit === 0 ? 10_000_000 : limit + offset}`,
        );
        const sent = partial.messages.map(
          ({ time, origin, destination, delayMinutes: delay, distanceMiles: distance }) => ({
            time: (time?.seconds ?? 0n) * 1_000_000n + BigInt((time?.nanos ?? 0) / 1000),
            origin,
            destination,
            delay,
            distance,
          }),
        );
        expect(sent).toEqual(expected);
        // Every time is one that JSON can say.
        for (const message of partial.messages.slice(0, 5)) toJson(SearchResponseSchema, message);
      };
      await expectRows({}, 500, 7);
      await expectRows({ origin: "A" }, 0, 0);
      await fc.assert(
        fc.asyncProperty(anyFilter, fc.integer({ min: 1, max: 50 }), fc.integer({ min: 0, max: 9 }), expectRows),
        {
          numRuns: 20,
        },
      );
    });
  });

  describe("NetworkService", () => {
    let service: Served;
    beforeAll(async () => {
      service = await served(networkService);
      await service.bind(shard);
    });
    afterAll(() => service.close());

    test("Reach gives the distinct destinations and routes of the origins", async () => {
      for (const origins of [[], ["A"], ["LAX", "SEA", "LAX"], ["none"]]) {
        const among = origins.length === 0 ? "true" : `origin IN (${origins.map((origin) => `'${origin}'`).join()})`;
        const { messages } = await service.caller.call(NetworkService.method.reach, { origins }, target);
        const routes = await oracle.rows(
          `SELECT DISTINCT origin, destination FROM flights WHERE ${among} ORDER BY ALL`,
        );
        const [reach] = messages;
        expect(
          reach?.routes
            .map(({ origin, destination }) => ({ origin, destination }))
            .sort((a, b) =>
              Buffer.compare(Buffer.from(a.origin + a.destination), Buffer.from(b.origin + b.destination)),
            ),
        ).toEqual(routes);
        expect(new Set(reach?.destinations)).toEqual(new Set(routes.map(({ destination }) => destination)));
        expect(reach?.destinationCount).toBe(BigInt(reach?.destinations.length ?? -1));
        expect(reach?.destinationCount).toBe(BigInt(new Set(reach?.destinations).size));
        expect(reach?.routeCount).toBe(BigInt(routes.length));
      }
    });

    test("Busiest gives the routes with the most flights", async () => {
      for (const limit of [5, 0]) {
        const partial = await service.caller.call(NetworkService.method.busiest, { limit }, target);
        const expected = await oracle.rows(
          `SELECT origin, destination, count(*) AS flights FROM flights GROUP BY ALL
           ORDER BY flights DESC, origin, destination ${limit === 0 ? "" : `LIMIT ${limit}`}`,
        );
        const sent = partial.messages[0]?.routes.map(({ origin, destination, flights }) => ({
          origin,
          destination,
          flights,
        }));
        expect(sent).toEqual(expected);
        expect(partial.bounds?.exhausted).toBe(limit === 0);
      }
    });
  });
});
