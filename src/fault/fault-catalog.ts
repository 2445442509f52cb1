export type GrpcCode =
  | "CANCELLED"
  | "UNKNOWN"
  | "INVALID_ARGUMENT"
  | "DEADLINE_EXCEEDED"
  | "NOT_FOUND"
  | "ALREADY_EXISTS"
  | "PERMISSION_DENIED"
  | "RESOURCE_EXHAUSTED"
  | "FAILED_PRECONDITION"
  | "ABORTED"
  | "OUT_OF_RANGE"
  | "UNIMPLEMENTED"
  | "INTERNAL"
  | "UNAVAILABLE"
  | "DATA_LOSS"
  | "UNAUTHENTICATED";

interface CatalogEntry {
  readonly code: GrpcCode;
  readonly http: number;
  /** Title of the problem document. */
  readonly title: string;
  /** The same request may succeed later. */
  readonly retryable: boolean;
}

/** Every fault there is. The id ends the problem's `type`, so it never changes meaning. */
export const CATALOG = {
  "malformed-request": { code: "INVALID_ARGUMENT", http: 400, title: "The request cannot be read", retryable: false },
  "invalid-request": { code: "INVALID_ARGUMENT", http: 400, title: "The request is not valid", retryable: false },
  "invalid-manifest": { code: "INVALID_ARGUMENT", http: 400, title: "The manifest is not valid", retryable: false },
  "invalid-service": { code: "INVALID_ARGUMENT", http: 400, title: "The service cannot be served", retryable: false },
  "invalid-table": { code: "INVALID_ARGUMENT", http: 400, title: "The route table does not load", retryable: false },
  "unknown-path": { code: "NOT_FOUND", http: 404, title: "Nothing is here", retryable: false },
  "unknown-snapshot": { code: "NOT_FOUND", http: 404, title: "No such snapshot", retryable: false },
  "unknown-service": { code: "NOT_FOUND", http: 404, title: "No such service", retryable: false },
  "unknown-method": { code: "NOT_FOUND", http: 404, title: "No such method", retryable: false },
  "unknown-version": { code: "NOT_FOUND", http: 404, title: "No such service version here", retryable: false },
  "unknown-query": { code: "NOT_FOUND", http: 404, title: "No such query under way", retryable: false },
  "unknown-topic": { code: "NOT_FOUND", http: 404, title: "No such topic", retryable: false },
  "permission-denied": { code: "PERMISSION_DENIED", http: 403, title: "Not allowed", retryable: false },
  "snapshot-exists": { code: "ALREADY_EXISTS", http: 409, title: "The snapshot exists", retryable: false },
  "snapshot-expired": { code: "NOT_FOUND", http: 410, title: "The snapshot has expired", retryable: false },
  "snapshot-retired": { code: "NOT_FOUND", http: 410, title: "The snapshot is retired", retryable: false },
  "snapshot-not-bound": {
    code: "FAILED_PRECONDITION",
    http: 409,
    title: "The snapshot is not bound here",
    retryable: true,
  },
  "method-not-allowed": { code: "UNIMPLEMENTED", http: 405, title: "Method not allowed", retryable: false },
  "unsupported-media-type": { code: "INVALID_ARGUMENT", http: 415, title: "Unsupported media type", retryable: false },
  "request-too-large": { code: "RESOURCE_EXHAUSTED", http: 413, title: "The request is too large", retryable: false },
  "headers-too-large": { code: "RESOURCE_EXHAUSTED", http: 431, title: "The headers are too large", retryable: false },
  "request-timeout": { code: "DEADLINE_EXCEEDED", http: 408, title: "The request came too slowly", retryable: true },
  "table-conflict": {
    code: "FAILED_PRECONDITION",
    http: 409,
    title: "Another route table is in use",
    retryable: false,
  },
  "table-behind": { code: "UNAVAILABLE", http: 503, title: "The route table is behind", retryable: true },
  "not-ready": { code: "UNAVAILABLE", http: 503, title: "Not ready", retryable: true },
  overloaded: { code: "UNAVAILABLE", http: 503, title: "Too much to do", retryable: true },
  "incomplete-answer": { code: "UNAVAILABLE", http: 503, title: "Some shards did not answer", retryable: true },
  "shard-unavailable": { code: "UNAVAILABLE", http: 503, title: "A shard is not available", retryable: true },
  "shard-failed": { code: "INTERNAL", http: 502, title: "A shard failed", retryable: false },
  "stamp-mismatch": { code: "ABORTED", http: 502, title: "A shard answered for another state", retryable: true },
  "wrong-placement": {
    code: "FAILED_PRECONDITION",
    http: 502,
    title: "The call reached another placement",
    retryable: true,
  },
  "deadline-exceeded": { code: "DEADLINE_EXCEEDED", http: 504, title: "The deadline has passed", retryable: true },
  cancelled: { code: "CANCELLED", http: 499, title: "The request was cancelled", retryable: false },
  "answer-too-large": { code: "RESOURCE_EXHAUSTED", http: 422, title: "The answer is too large", retryable: false },
  overflow: { code: "OUT_OF_RANGE", http: 422, title: "A number does not fit its type", retryable: false },
  "bad-partial": {
    code: "INTERNAL",
    http: 502,
    title: "A shard sent a partial that cannot be merged",
    retryable: false,
  },
  "cut-not-reached": { code: "FAILED_PRECONDITION", http: 409, title: "The cut is not reached yet", retryable: true },
  "cut-below-horizon": { code: "FAILED_PRECONDITION", http: 409, title: "The cut is too old", retryable: false },
  "snapshot-conflict": { code: "FAILED_PRECONDITION", http: 409, title: "The snapshot differs", retryable: false },
  "log-corrupt": { code: "DATA_LOSS", http: 500, title: "The log is damaged", retryable: false },
  "log-truncated": { code: "DATA_LOSS", http: 500, title: "The log no longer has these records", retryable: false },
  "log-unavailable": { code: "UNAVAILABLE", http: 503, title: "The log cannot be reached now", retryable: true },
  "topic-recreated": { code: "DATA_LOSS", http: 500, title: "The topic was made anew", retryable: false },
  "data-corrupt": { code: "DATA_LOSS", http: 500, title: "Stored data is damaged", retryable: false },
  "store-locked": { code: "FAILED_PRECONDITION", http: 409, title: "Another process holds the store", retryable: true },
  "port-in-use": { code: "UNAVAILABLE", http: 503, title: "The port is taken", retryable: true },
  "store-failed": { code: "UNAVAILABLE", http: 503, title: "The store cannot be used now", retryable: true },
  "archive-unavailable": {
    code: "UNAVAILABLE",
    http: 503,
    title: "The archive cannot be used now",
    retryable: true,
  },
  fenced: { code: "ABORTED", http: 409, title: "Another writer has taken over", retryable: false },
  "bad-input-file": { code: "INVALID_ARGUMENT", http: 400, title: "The file cannot be loaded", retryable: false },
  "out-of-memory": { code: "RESOURCE_EXHAUSTED", http: 503, title: "No memory for this", retryable: true },
  internal: { code: "INTERNAL", http: 500, title: "Internal error", retryable: false },
} as const satisfies Record<string, CatalogEntry>;

export type FaultId = keyof typeof CATALOG;
