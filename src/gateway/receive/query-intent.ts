import type { CacheWish } from "./cache-wish.ts";
import type { AnswerQuality } from "./completeness-wish.ts";

/** What a client named, as it wrote it. */
export interface QueryTarget {
  /** An id, or `latest`. */
  readonly snapshot: string;
  /** package.Service. */
  readonly service: string;
  /** Service version that the client insists on. */
  readonly version?: string | undefined;
  readonly method: string;
}

/** A query as it came in, whichever door it took: HTTP, answer set and gRPC make the same. */
export interface QueryIntent {
  readonly target: QueryTarget;
  readonly body: RequestBody;
  readonly quality: AnswerQuality;
  /** The client's wish for the whole query; the server's limits apply. */
  readonly timeoutMs?: number | undefined;
  /** Chosen by the client, else by the gateway. */
  readonly queryId?: string | undefined;
  /** Of the answer set that the query belongs to, where its client named one. */
  readonly setId?: string | undefined;
  /** Least epoch of the table that may answer. */
  readonly atLeast?: bigint | undefined;
  /** W3C trace context of the caller, well-formed. */
  readonly traceparent?: string | undefined;
  /** What the gateway's caches may do; anything, where the client says nothing. */
  readonly cache?: CacheWish | undefined;
  /** How the query was answered is wanted beside its answer. */
  readonly wantsProfile?: boolean;
  /** Aborts when the client goes away. */
  readonly signal: AbortSignal;
}

export type RequestBody =
  /** JSON to be read, which is done only where the same was not read before: equal texts are read alike. */
  | { readonly kind: "text"; readonly text: string; readonly read: () => unknown }
  | { readonly kind: "json"; readonly value: unknown; readonly pointer: string }
  | { readonly kind: "binary"; readonly bytes: Uint8Array };
