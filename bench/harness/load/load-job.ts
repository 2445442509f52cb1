import type { LatencySummary } from "./latencies.ts";

/** What a load process is told to do. */
export interface LoadJob {
  /** host:port of the HTTP door. */
  readonly address: string;
  /** `open`: Poisson at a rate, whatever becomes of the requests. `closed`: so many clients, each asks when answered. */
  readonly load:
    | { readonly kind: "open"; readonly ratePerSecond: number }
    | { readonly kind: "closed"; readonly clients: number };
  readonly seconds: number;
  /** Shards of the mesh: decides what is right. */
  readonly shards: number;
  readonly limit: number;
  /** Mean service time of each shard in microseconds; 0: none. */
  readonly meanServiceUs: number;
  /** First of the seeds; each request has another, until they begin again after `distinct`. */
  readonly firstSeed: number;
  readonly distinct: number;
  /** Of each request; in the query string. Absent: the gateway's default. */
  readonly timeoutMs?: number;
}

export interface LoadResult {
  readonly sent: number;
  /** Answers equal to the right one, byte for byte. */
  readonly right: number;
  /** Status 200 with another body. Must be 0. */
  readonly wrong: number;
  /** Refusals and faults by status; -1: the connection broke. */
  readonly faults: Readonly<Record<number, number>>;
  /** Of right answers, from when a request was due (open) or sent (closed) until its last byte was here. */
  readonly latency: LatencySummary;
  /** The same of what was refused. */
  readonly faultLatency: LatencySummary;
  /** Right answers, per second from the start until the last reply. */
  readonly answersPerSecond: number;
  /** From the start until the last reply. */
  readonly seconds: number;
  /** Some that went wrong, for people. */
  readonly examples: readonly string[];
}
