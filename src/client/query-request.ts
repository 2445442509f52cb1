/** How a query is asked for over HTTP: the path names what, the query string controls how, the body is the request. */
export interface QueryOptions {
  /** `partial`: answered by some of the shards will do. Strict when absent. */
  readonly completeness?: { readonly kind: "strict" } | { readonly kind: "partial"; readonly min?: number };
  /** For the whole query; the gateway shortens it to its own limit. */
  readonly timeoutMs?: number;
  /** Insists on a version: the answer is then the same bytes for ever. */
  readonly version?: string;
  readonly signal?: AbortSignal;
}

/** `plan`: how it would be answered, no shard is asked. `profile`: the answer, and how it came about. */
export type ExplainMode = "plan" | "profile";

export function queryPath(
  snapshot: string,
  service: string,
  method: string,
  options: QueryOptions,
  explain?: ExplainMode,
): string {
  const version = options.version === undefined ? "" : `@${encodeURIComponent(options.version)}`;
  const path = `/v1/snapshots/${encodeURIComponent(snapshot)}/${encodeURIComponent(service)}${version}/${encodeURIComponent(method)}`;
  const controls = new URLSearchParams();
  const { completeness, timeoutMs } = options;
  if (completeness?.kind === "strict") controls.set("completeness", "strict");
  if (completeness?.kind === "partial") {
    controls.set("completeness", completeness.min === undefined ? "partial" : `partial;min=${completeness.min}`);
  }
  if (timeoutMs !== undefined) controls.set("timeout", `${Math.ceil(timeoutMs)}ms`);
  if (explain !== undefined) controls.set("explain", explain);
  const text = controls.toString();
  return text === "" ? path : `${path}?${text}`;
}
