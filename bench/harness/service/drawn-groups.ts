/**
 * What a shard has for a seed: ten groups out of 61 keys, so that two shards share some and sums span shards. Whoever
 * knows the seed can work out the right answer.
 */

export const GROUPS = 10;
const KEYS = 61;
const KEY_NAMES = Array.from({ length: KEYS }, (_, i) => `key-${String(i).padStart(2, "0")}`);

export interface DrawnGroup {
  readonly key: string;
  readonly first: number;
  readonly second: number;
  readonly third: number;
}

/** Below 10^9 each: a sum over 64 shards stays far from 2^53. */
const VALUES = 1_000_000_000;

export function drawnGroups(seed: number, shard: number): DrawnGroup[] {
  const next = numbersFrom(seed, shard);
  const from = next() % KEYS;
  // 61 is prime, so any step from 1 to 60 meets no key twice.
  const step = 1 + (next() % (KEYS - 1));
  const groups: DrawnGroup[] = [];
  for (let i = 0; i < GROUPS; i++) {
    const key = KEY_NAMES[(from + i * step) % KEYS] as string;
    groups.push({ key, first: next() % VALUES, second: next() % VALUES, third: next() % VALUES });
  }
  return groups;
}

/** Milliseconds that the shard waits: exponential, whole milliseconds, since timers know no finer. */
export function drawnServiceMs(seed: number, shard: number, meanMs: number): number {
  if (meanMs === 0) return 0;
  const unit = (numbersFrom(seed ^ 0x5bd1e995, shard)() + 0.5) / 2 ** 32;
  return Math.round(-Math.log(unit) * meanMs);
}

/** mulberry32: 32-bit numbers that are told by their seed, at a few nanoseconds each. */
export function numbersFrom(seed: number, shard: number): () => number {
  let state = (Math.imul(seed, 0x9e3779b1) ^ Math.imul(shard + 1, 0x85ebca6b)) >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return (t ^ (t >>> 14)) >>> 0;
  };
}
