import { SLICE, type Slices } from "../../accumulator/sliced-sort.ts";
import type { TopBounds } from "../../wire/generated/skynetes/v1/stamp_pb.ts";
import { badPartial } from "./bad-partial.ts";
import type { Rank, Shown } from "./rank.ts";
import type { Rest } from "./top-k.ts";

export interface FirstGroups {
  readonly shard: number;
  /** How many it sent. */
  readonly count: number;
  /** The value that one of them is ranked by, as if it were all of its group. */
  readonly shown: (index: number) => Shown;
  readonly bounds: TopBounds | undefined;
  /** How many groups it was asked for. */
  readonly limit: number;
}

/**
 * What a shard's first groups and its bounds tell of the groups it did not send. The bounds decide which groups are
 * never fetched, so whatever can be checked of them is. Faults: `bad-partial`.
 */
export function* restOfShard({ limit, ...sent }: FirstGroups, rank: Rank, field: string): Slices<Rest> {
  const { shard, count, shown, bounds } = sent;
  if (hasNoMore({ limit, count, bounds })) return "none";
  if (bounds === undefined) return undefined;
  if (bounds.field !== field) throw badPartial(shard, `bounds of "${bounds.field}" where "${field}" orders`);
  const kth = rank.boundOf(bounds.kth);
  const farthest = rank.boundOf(bounds.last);
  if (count === 0 || kth === undefined || farthest === undefined) return undefined;
  const end = shown(count - 1);
  const nearest = rank.family === "sum" ? kth : better(rank, kth, end);
  if (rank.family === "sum") yield* checkOrder(sent, rank, rank.shownOf(kth as bigint));
  const groupsHeld = bounds.groups > 0n ? Number(bounds.groups) : Number.POSITIVE_INFINITY;
  const middle = shown(Math.floor((count - 1) / 2));
  return { nearest, farthest, groups: groupsHeld, sample: { depth: count, middle: Number(middle), end: Number(end) } };
}

/** A shard that sends less than it may has no more, whether it says so or not. */
export function hasNoMore({ bounds, count, limit }: Pick<FirstGroups, "bounds" | "count" | "limit">): boolean {
  return bounds === undefined ? count < limit : bounds.exhausted;
}

/** A mean that the shard rounded otherwise must not make the bound too tight. */
function better(rank: Rank, bound: bigint | number, value: Shown): bigint | number {
  return value !== undefined && rank.order(value, bound) < 0 ? value : bound;
}

function* checkOrder({ shard, count, shown }: Omit<FirstGroups, "limit">, rank: Rank, kth: Shown): Slices<void> {
  let before: Shown;
  for (let index = 0; index < count; index++) {
    const value = shown(index);
    if (index > 0 && rank.order(before, value) > 0) {
      throw badPartial(shard, `group ${index} is out of the order asked for`);
    }
    before = value;
    if (index % SLICE === SLICE - 1) yield;
  }
  if (rank.order(before, kth) !== 0) throw badPartial(shard, `its last group is ${before}, its bound says ${kth}`);
}
