import type { Message } from "@bufbuild/protobuf";
import { COMPLETENESS_BIN_HEADER, EPOCH_HEADER, ROUTE_HEADERS } from "../../mesh/route-headers.ts";
import type { Completeness } from "../../wire/generated/skynetes/v1/stamp_pb.ts";
import type { PreparedQuery } from "../query/prepared-query.ts";
import { completenessHeader } from "./answer-completeness.ts";

export const QUERY_ID_HEADER = "x-skynetes-query-id";
/** Seconds since the cut of the snapshot was fixed, to the millisecond: a mesh may make a snapshot each second. */
const SNAPSHOT_AGE_HEADER = "x-skynetes-snapshot-age";

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

/** What must be known of a caller to say what caches may do. */
export interface CachingCaller {
  readonly isAnonymous: boolean;
  /** The method may be called by GET. */
  readonly getAllowed: boolean;
  /** The request as it would stand in a URL; made only when it does. */
  readonly requestJson: () => string;
}

/**
 * What caches may do with a complete answer. Named snapshot and version: keep it for ever, for everybody when the
 * caller is anonymous. Otherwise: ask every time, which costs no shard call, since the tag is known beforehand.
 */
export function cacheHeaders(query: PreparedQuery, caller: CachingCaller): Record<string, string> {
  if (query.tag === undefined) return { "cache-control": "no-store" };
  const scope = caller.isAnonymous ? "public" : "private";
  const headers = { etag: query.tag, vary: "authorization" };
  if (query.resolved.pinned) return { ...headers, "cache-control": `${scope}, ${FOR_EVER}` };
  const location = pinnedUrl(query, caller);
  return {
    ...headers,
    "cache-control": "no-cache",
    ...(location === undefined ? {} : { "content-location": location }),
  };
}

/** By request, which is one object for all that come with the same text. */
const requestTexts = new WeakMap<Message, string>();

/**
 * Where the same answer is for ever. With the request in it where GET is allowed, so that it is that answer's URL. A
 * request too long for a URL has none: without its request the URL would be that of another answer.
 */
function pinnedUrl(query: PreparedQuery, caller: CachingCaller): string | undefined {
  const { snapshot, version, plan } = query.resolved;
  const path = `/v1/snapshots/${snapshot.id}/${version.service}@${version.name}/${plan.method.name}`;
  if (!caller.getAllowed) return path;
  let text = requestTexts.get(query.request);
  if (text === undefined) {
    const json = caller.requestJson();
    text = json === "{}" ? "" : `?request=${encodeURIComponent(json)}`;
    if (text.length <= LOCATION_MAX) requestTexts.set(query.request, text);
  }
  return path.length + text.length > LOCATION_MAX ? undefined : path + text;
}

/** A snapshot's complete answers share one object. */
const completenessTexts = new WeakMap<Completeness, string>();

/** In metadata as over gRPC, in base64 without padding as gRPC itself writes it. */
export function completenessHeaders(completeness: Completeness): Record<string, string> {
  const known = completenessTexts.get(completeness);
  const text = known ?? Buffer.from(completenessHeader(completeness)).toString("base64").replace(/=+$/, "");
  if (known === undefined) completenessTexts.set(completeness, text);
  return { [COMPLETENESS_BIN_HEADER]: text };
}

/**
 * `Server-Timing` in milliseconds, and how old the snapshot is in seconds: outside of the tagged body. Not in `Age`,
 * which says how long a *response* has been in caches: there an old snapshot would be stale on arrival.
 */
export function timingHeaders(query: PreparedQuery, nowMs: number): Record<string, string> {
  const timings = [...query.timings].map(([name, ms]) => `${name};dur=${ms.toFixed(2)}`).join(", ");
  return { "server-timing": timings, ...ageHeader(query, nowMs) };
}

/** How old the snapshot is that answers, on every reply of a query. */
export function ageHeader(query: PreparedQuery, nowMs: number): Record<string, string> {
  const ageMs = Math.max(0, Math.round(nowMs - query.resolved.snapshot.createdAtMs));
  return { [SNAPSHOT_AGE_HEADER]: (ageMs / 1000).toFixed(3) };
}
