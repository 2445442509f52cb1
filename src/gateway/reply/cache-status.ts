import type { CacheOutcome } from "../cache/shared-answers.ts";

/** A header over HTTP, trailing metadata over gRPC. */
export const CACHE_STATUS_HEADER = "cache-status";

/**
 * What became of a query at the gateway's caches (RFC 9211). `hit` is an answer that no shard was asked for; its detail,
 * and that of a miss, says how many partials of how many were kept from before.
 */
export function cacheStatus({ answer, isCollapsed, isStored, partials }: CacheOutcome): string {
  if (answer === "hit") return "skynetes; hit";
  if (isCollapsed) return `skynetes; fwd=${answer}; collapsed`;
  const isFromPartials = partials !== undefined && partials.asked > 0 && partials.found === partials.asked;
  const parts = ["skynetes", isFromPartials ? "hit" : `fwd=${answer}`];
  // "stored" tells of what was forwarded, which a hit was not.
  if (isStored && !isFromPartials) parts.push("stored");
  if (partials !== undefined && partials.found > 0) parts.push(`detail="partials=${partials.found}/${partials.asked}"`);
  return parts.join("; ");
}
