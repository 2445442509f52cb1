import type { LatencySummary } from "./latencies.ts";

/** What a load process is told to do. */
export interface LoadJob {
  /** host:port of the door. */
  readonly address: string;
  /** HTTP, or gRPC with headers; HTTP when absent. */
  readonly grpc?: Readonly<Record<string, string>>;
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
  /** Asks for partials of about so many bytes a shard (`Fill`, over HTTP) instead of ten groups (`Top`). */
  readonly fillBytes?: number;
  /** Of each request. Absent: the gateway's default. */
  readonly timeoutMs?: number;
}

export interface LoadResult {
  readonly sent: number;
  /** Equal to the right one, byte for byte. */
  readonly right: number;
  /** A good status with another answer. Must be 0. */
  readonly wrong: number;
  /** Refusals and faults: HTTP statuses, gRPC codes + 1000; -1: the connection broke. */
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
