import { Fault } from "../../fault/fault.ts";
import type { PreparedQuery } from "./prepared-query.ts";

/** What asking shards needs to know of those who ask: one client's query, or several that ask the same. */
export interface Gathering {
  readonly query: PreparedQuery;
  /** Aborts when nobody waits for the answer any more. */
  readonly signal: AbortSignal;
  /** In monotonic time: when a shard that is asked now must have answered. */
  readonly shardDeadline: number;
  /** Shards that were given up, with the reason. */
  readonly missing: ReadonlyMap<number, Fault>;
  /** Counts what is held until the end. Fault `overloaded`, which stops the gathering. */
  hold(bytes: number): void;
  release(bytes: number): void;
  /** What stopped it, when something did. */
  throwIfStopped(): void;
  /** Goes on without a shard, or throws; see `GivenUpShards`. */
  giveUpShard(shard: number, fault: Fault): void;
  /** For lists of what is under way. */
  shardsAnswered(count: number): void;
}

/** One for all: nobody sees it but shard calls that are cancelled, and a stack trace for each query costs more than it. */
export const ENDED = new Fault("cancelled", "the query has ended");
