/**
 * What the flights mesh must answer, worked out by one DuckDB over the original files: no log, no shards, no merge.
 */
import { resolve } from "node:path";
import { type DuckDBConnection, DuckDBInstance } from "@duckdb/node-api";

const DATA = `${resolve(import.meta.dirname, "../../node_modules/vega-datasets/data")}/`;

export interface FlightFilter {
  readonly origin?: string;
  readonly destination?: string;
  readonly from?: string;
  readonly to?: string;
}

export type SnapshotName = "q1-2001" | "h1-2001";
export type TopOrder = "ORDER_FLIGHTS" | "ORDER_TOTAL_DELAY" | "ORDER_MEAN_DELAY";

type Row = Record<string, string | null>;

/** v1 counts a flight as delayed over 0 minutes, v2 from 15 minutes. */
export const DELAYED_FROM = { "q1-2001": 1, "h1-2001": 15 } as const;

export class FlightsOracle {
  readonly #db: DuckDBConnection;

  private constructor(db: DuckDBConnection) {
    this.#db = db;
  }

  static async open(): Promise<FlightsOracle> {
    const db = await (await DuckDBInstance.create(":memory:", { memory_limit: "1GB" })).connect();
    await db.run(`create table flights as select * from '${DATA}flights-3m.parquet'`);
    await db.run(`create table airports as select * from read_csv('${DATA}airports.csv', all_varchar = true)`);
    return new FlightsOracle(db);
  }

  /** The answer of Summarize, as the gateway's JSON shows it. */
  async summarize(snapshot: SnapshotName, filter: FlightFilter, delayedFrom: number = DELAYED_FROM[snapshot]) {
    const [row] = await this.#rows(`select count(*) n, count(*) filter (delay >= ${delayedFrom}) d, sum(delay) t,
      sum(distance) m, min(delay) lo, max(delay) hi, (sum(delay)::double / count(*)::double) mean
      from flights where ${where(snapshot, filter)}`);
    if (row === undefined || row.n === "0") {
      return { flights: "0", delayed: "0", totalDelayMinutes: "0", totalDistanceMiles: "0" };
    }
    return {
      flights: row.n,
      delayed: row.d,
      totalDelayMinutes: row.t,
      totalDistanceMiles: row.m,
      minDelayMinutes: row.lo,
      maxDelayMinutes: row.hi,
      meanDelayMinutes: Number(row.mean),
    };
  }

  async topDestinations(snapshot: SnapshotName, order: TopOrder, limit: number, offset = 0) {
    const by = { ORDER_FLIGHTS: "n", ORDER_TOTAL_DELAY: "t", ORDER_MEAN_DELAY: "mean" }[order];
    const rows = await this.#rows(`select destination, count(*) n,
      count(*) filter (delay >= ${DELAYED_FROM[snapshot]}) d, sum(delay) t,
      (sum(delay)::double / count(*)::double) mean,
      coalesce((select any_value(name) from airports where iata = destination), '') as name
      from flights where ${where(snapshot, {})} group by destination
      order by ${by} desc, destination asc ${limit === 0 ? "" : `limit ${limit}`} offset ${offset}`);
    return {
      destinations: rows.map((row) => ({
        destination: row.destination,
        name: row.name,
        flights: row.n,
        delayed: row.d,
        totalDelayMinutes: row.t,
        meanDelayMinutes: Number(row.mean),
      })),
    };
  }

  async dailyCounts(snapshot: SnapshotName, filter: FlightFilter) {
    const rows = await this.#rows(`select strftime(date, '%Y-%m-%d') as day, count(*) n,
      count(*) filter (delay >= ${DELAYED_FROM[snapshot]}) d
      from flights where ${where(snapshot, filter)} group by 1 order by 1`);
    return { days: rows.map((row) => ({ day: row.day, flights: row.n, delayed: row.d })) };
  }

  async search(snapshot: SnapshotName, filter: FlightFilter, limit: number, offset = 0) {
    const rows = await this.#rows(`select strftime(date, '%Y-%m-%dT%H:%M:%SZ') as time, origin, destination,
      delay, distance from flights where ${where(snapshot, filter)}
      order by date, origin, destination, delay, distance ${limit === 0 ? "" : `limit ${limit}`} offset ${offset}`);
    return rows.map((row) => ({
      time: row.time,
      origin: row.origin,
      destination: row.destination,
      delayMinutes: row.delay,
      distanceMiles: row.distance,
    }));
  }

  async reach(snapshot: SnapshotName, origins: readonly string[]) {
    const of = origins.length === 0 ? "true" : `origin in (${origins.map(literal).join(", ")})`;
    const routes = await this.#rows(`select distinct origin, destination from flights
      where ${where(snapshot, {})} and ${of} order by origin, destination`);
    const destinations = [...new Set(routes.map((route) => route.destination as string))].sort();
    return {
      destinations,
      destinationCount: String(destinations.length),
      routes: routes.map((route) => ({ origin: route.origin, destination: route.destination })),
      routeCount: String(routes.length),
    };
  }

  async busiest(snapshot: SnapshotName, limit: number) {
    const rows = await this.#rows(`select origin, destination, count(*) n from flights where ${where(snapshot, {})}
      group by 1, 2 order by n desc, origin, destination ${limit === 0 ? "" : `limit ${limit}`}`);
    return { routes: rows.map((row) => ({ origin: row.origin, destination: row.destination, flights: row.n })) };
  }

  async airports(): Promise<readonly string[]> {
    return (await this.#rows("select distinct origin from flights order by 1")).map((row) => row.origin as string);
  }

  async rows(snapshot: SnapshotName): Promise<string> {
    return (await this.#rows(`select count(*) n from flights where ${where(snapshot, {})}`))[0]?.n as string;
  }

  close(): void {
    this.#db.closeSync();
  }

  async #rows(sql: string): Promise<Row[]> {
    return (await this.#db.runAndReadAll(sql)).getRowObjectsJson() as Row[];
  }
}

const literal = (text: string) => `'${text.replaceAll("'", "''")}'`;

function where(snapshot: SnapshotName, filter: FlightFilter): string {
  const conditions = ["true"];
  if (snapshot === "q1-2001") conditions.push("date < timestamp '2001-04-01 00:00:00'");
  if (filter.origin !== undefined) conditions.push(`origin = ${literal(filter.origin)}`);
  if (filter.destination !== undefined) conditions.push(`destination = ${literal(filter.destination)}`);
  if (filter.from !== undefined) conditions.push(`date >= timestamp ${literal(sqlTime(filter.from))}`);
  if (filter.to !== undefined) conditions.push(`date < timestamp ${literal(sqlTime(filter.to))}`);
  return conditions.join(" and ");
}

const sqlTime = (time: string) => time.replace("T", " ").replace("Z", "");
