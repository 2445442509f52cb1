/**
 * What is known of a group although some shards have not told of it.
 *
 * A shard that sent its first groups in the order asked for says with the last one (`nearest`) how good any further
 * group of it can be, and with `farthest` how bad. In exact parts of sums, or as ranked values of averages:
 *
 *     shard's groups, best first   ██ ██ ██ ██ nearest │ unseen …………… farthest
 *
 * Sums: a group that the shard did not send adds something in [farthest, nearest], or nothing if the shard does not
 * have it: so zero belongs to the interval, and summands may be negative. Averages, least and greatest values: the
 * group's value lies between the extremes of its shards' values.
 */
import type { Rank, Shown } from "./rank.ts";

/** Exact parts of sums are bigints, so is everything here for the family "sum". */
export interface Unseen {
  readonly nearest: bigint | number;
  readonly farthest: bigint | number;
}

/** In rank order: the value is at best `best` and at worst `worst`. */
export interface Range {
  readonly best: Shown;
  readonly worst: Shown;
}

/** Range of a sum, `known` being the exact sum of the parts that came. */
export function sumRange(rank: Rank, known: bigint, unseen: readonly Unseen[]): Range {
  let best = known;
  let worst = known;
  for (const shard of unseen) {
    best += orNothing(shard.nearest as bigint, rank.descending);
    worst += orNothing(shard.farthest as bigint, !rank.descending);
  }
  return { best: rank.shownOf(best), worst: rank.shownOf(worst) };
}

/** The part, or zero where that is greater (or less). */
function orNothing(part: bigint, isGreaterWanted: boolean): bigint {
  return part > 0n === isGreaterWanted ? part : 0n;
}

/** Range of an average, least or greatest value, `known` being the value of the parts that came. */
export function extremeRange(rank: Rank, known: Shown, unseen: readonly Unseen[]): Range {
  let best = known;
  let worst = known;
  for (const shard of unseen) {
    if (rank.order(shard.nearest, best) < 0) best = shard.nearest;
    if (rank.order(shard.farthest, worst) > 0) worst = shard.farthest;
  }
  return { best, worst };
}

/** The best value that a group may have that no shard has told of. It is on at least one of the shards. */
export function bestUnseen(rank: Rank, unseen: readonly Unseen[]): Shown {
  const candidates = unseen.map((shard, index) => {
    if (rank.family === "extreme") return shard.nearest;
    const others = unseen.filter((_, other) => other !== index);
    return sumRange(rank, shard.nearest as bigint, others).best;
  });
  return candidates.reduce<Shown>((best, one) => (rank.order(one, best) < 0 ? one : best), undefined);
}
