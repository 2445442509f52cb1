import type { Message } from "@bufbuild/protobuf";
import type { QueryIntent } from "../receive/query-intent.ts";
import type { ResolvedQuery } from "../resolve/resolve-query.ts";
import type { QueryProfile } from "./query-profile.ts";

/** What a request means in one table; the same for every client that sends it. */
export interface UnderstoodQuery {
  readonly resolved: ResolvedQuery;
  /** Never changed: several may be given the same. */
  readonly request: Message;
  /** Shards that must answer, ascending. */
  readonly asked: readonly number[];
  /** Shards that the seal's statistics exclude, with the reason: they count as answered. */
  readonly pruned: ReadonlyMap<number, string>;
  /** Strong entity tag of the complete answer; absent when the method's answer may differ from call to call. */
  readonly tag: string | undefined;
}

/** A query that is understood, and of which no shard has heard yet. */
export interface PreparedQuery extends UnderstoodQuery {
  readonly id: string;
  readonly intent: QueryIntent;
  /** In monotonic time. */
  readonly deadline: number;
  /** Collects how the query is answered, where its client asked for that. Such an answer is neither kept nor tagged. */
  readonly profile: QueryProfile | undefined;
  /** Durations so far in milliseconds, for `Server-Timing`. */
  readonly timings: Map<string, number>;
}
