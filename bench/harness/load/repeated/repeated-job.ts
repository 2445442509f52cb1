import type { LatencySummary } from "../latencies.ts";

/** Requests that come again, as a load process is told to send them. */
export interface RepeatedJob {
  /** host:port of the HTTP door. */
  readonly address: string;
  readonly shards: number;
  /** How many different requests there are. */
  readonly distinct: number;
  /** First of their seeds. */
  readonly firstSeed: number;
  readonly clients: number;
  /**
   * `all`: each once. `zipf`: the n-th most wanted is wanted 1/n as often as the first. `bursts`: all clients send the
   * same at once, and the next when all have their answer.
   */
  readonly order: "all" | "zipf" | "bursts";
  /** Of `zipf`. */
  readonly seconds: number;
  /** Mean of the time that each shard waits, exponential; 0: none. */
  readonly meanServiceUs: number;
  /** What every reply must be; absent: the right answer to each request. */
  readonly body?: string;
}

export interface RepeatedResult {
  readonly right: number;
  readonly latency: LatencySummary;
  readonly answersPerSecond: number;
  /** Replies by what their `Cache-Status` says, `;` and blanks as they are. */
  readonly cacheStatus: Readonly<Record<string, number>>;
}
