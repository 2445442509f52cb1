import { EPOCH_HEADER, ROUTE_HEADERS } from "../../mesh/route-headers.ts";
import type { PreparedQuery } from "../query/prepared-query.ts";

export const QUERY_ID_HEADER = "x-skynetes-query-id";

/** A pinned answer never changes; a year is what HTTP calls for ever. */
const FOR_EVER = "max-age=31536000, immutable";
/** Longer requests are not repeated in a URL. */
const LOCATION_MAX = 2000;

/** Who answered. On every reply of a query, whatever its format. */
export function routeHeaders(query: PreparedQuery): Record<string, string> {
  const { snapshot, version, state } = query.resolved;
  return {
    [ROUTE_HEADERS.snapshot]: snapshot.id,
    [ROUTE_HEADERS.version]: version.name,
    [EPOCH_HEADER]: state.epoch.toString(),
    [QUERY_ID_HEADER]: query.id,
  };
}

/**
 * What caches may do with a complete answer. Named snapshot and version: keep it for ever, for everybody when the
 * caller is anonymous. Otherwise: ask every time, which costs no shard call, since the tag is known beforehand.
 */
export function cacheHeaders(
  query: PreparedQuery,
  caller: { readonly isAnonymous: boolean; readonly getAllowed: boolean; readonly requestJson: string },
): Record<string, string> {
  if (query.tag === undefined) return { "cache-control": "no-store" };
  const scope = caller.isAnonymous ? "public" : "private";
  const headers = { etag: query.tag, vary: "authorization" };
  if (query.resolved.pinned) return { ...headers, "cache-control": `${scope}, ${FOR_EVER}` };
  return { ...headers, "cache-control": "no-cache", "content-location": pinnedUrl(query, caller) };
}

/** Where the same answer is for ever. With the request in it where GET is allowed, so that it is that answer's URL. */
function pinnedUrl(
  query: PreparedQuery,
  caller: { readonly getAllowed: boolean; readonly requestJson: string },
): string {
  const { snapshot, version, plan } = query.resolved;
  const path = `/v1/snapshots/${snapshot.id}/${version.service}@${version.name}/${plan.method.name}`;
  if (!caller.getAllowed || caller.requestJson === "{}") return path;
  const withRequest = `${path}?request=${encodeURIComponent(caller.requestJson)}`;
  return withRequest.length > LOCATION_MAX ? path : withRequest;
}

/** `Server-Timing` in milliseconds, and how old the snapshot is in seconds: outside of the tagged body. */
export function timingHeaders(query: PreparedQuery, nowMs: number): Record<string, string> {
  const timings = [...query.timings].map(([name, ms]) => `${name};dur=${ms.toFixed(2)}`).join(", ");
  const age = Math.max(0, Math.floor((nowMs - query.resolved.snapshot.createdAtMs) / 1000));
  return { "server-timing": timings, age: String(age) };
}
