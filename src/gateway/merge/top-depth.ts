/**
 * How many groups to ask a shard for. None of this decides an answer, only how many bytes it takes.
 */

/** Keys in one request, unless a limit says otherwise. */
export const KEYS_PER_REQUEST_MAX = 10_000;

/** Round 1: some more than wanted, because the extra ones narrow the bounds and often save a round. */
export function firstDepth(wanted: number): number {
  return wanted + Math.min(Math.max(wanted, 64), 1024);
}

export interface DepthSample {
  /** Groups that the shard sent. */
  readonly depth: number;
  /** Ranked values, as doubles, at half the depth and at its end. */
  readonly middle: number;
  readonly end: number;
}

/** Where nothing can be extrapolated. */
const BLIND_FACTOR = 16;

/**
 * Round 2: the depth at which the values probably fall to `target`. Sums by key mostly follow a power law, in which
 * every doubling of the depth divides the value by the same factor; the sample tells the factor.
 */
export function deeperDepth({ depth, middle, end }: DepthSample, target: number): number {
  if (!(target > 0 && end > 0 && middle >= end)) return depth * BLIND_FACTOR;
  const doublings = Math.log(end / target) / Math.log(middle / end);
  if (Number.isNaN(doublings)) return depth;
  return doublings <= 0 ? depth : Math.ceil(depth * 2 ** Math.min(doublings, 40));
}
