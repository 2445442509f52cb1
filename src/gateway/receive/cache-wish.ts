/** What a client lets the gateway's caches do for its request. */
export interface CacheWish {
  /** It may be answered with what is kept, and together with others. */
  readonly serve: boolean;
  /** What it is answered with may be kept. */
  readonly store: boolean;
}

export const ANY_CACHE: CacheWish = { serve: true, store: true };

/**
 * `Cache-Control` of a request (RFC 9111, 5.2.1): `no-cache` asks the shards, `no-store` keeps nothing. The other
 * directives are about age, and what is kept here never ages. Directives that nobody knows are ignored, as the RFC asks.
 */
export function parseCacheWish(text: string | undefined): CacheWish {
  if (text === undefined) return ANY_CACHE;
  const directives = text.split(",").map((one) => one.trim().toLowerCase());
  return { serve: !directives.includes("no-cache"), store: !directives.includes("no-store") };
}
