import type { Message } from "@bufbuild/protobuf";
import type { TopBounds } from "../../wire/generated/skynetes/v1/stamp_pb.ts";
import { badPartial } from "./bad-partial.ts";
import type { Rank, Shown } from "./rank.ts";
import type { Rest } from "./top-k.ts";

export interface FirstGroups {
  readonly shard: number;
  readonly groups: readonly Message[];
  readonly bounds: TopBounds | undefined;
  /** How many groups it was asked for. */
  readonly limit: number;
}

/**
 * What a shard's first groups and its bounds tell of the groups it did not send. The bounds decide which groups are
 * never fetched, so whatever can be checked of them is. Faults: `bad-partial`.
 */
export function restOfShard(
  { shard, groups, bounds, limit }: FirstGroups,
  rank: Rank,
  field: string,
  shown: (group: Message) => Shown,
): Rest {
  // A shard that sends less than it may has no more, whether it says so or not.
  if (bounds?.exhausted || (bounds === undefined && groups.length < limit)) return "none";
  if (bounds === undefined) return undefined;
  if (bounds.field !== field) throw badPartial(shard, `bounds of "${bounds.field}" where "${field}" orders`);
  const last = groups.at(-1);
  const kth = rank.boundOf(bounds.kth);
  const farthest = rank.boundOf(bounds.last);
  if (last === undefined || kth === undefined || farthest === undefined) return undefined;
  const end = shown(last);
  const nearest = rank.family === "sum" ? kth : better(rank, kth, end);
  if (rank.family === "sum") checkOrder(shard, groups, rank, rank.shownOf(kth as bigint), shown);
  const groupsHeld = bounds.groups > 0n ? Number(bounds.groups) : Number.POSITIVE_INFINITY;
  const middle = shown(groups[Math.floor((groups.length - 1) / 2)]!);
  return {
    nearest,
    farthest,
    groups: groupsHeld,
    sample: { depth: groups.length, middle: Number(middle), end: Number(end) },
  };
}

/** A mean that the shard rounded otherwise must not make the bound too tight. */
function better(rank: Rank, bound: bigint | number, value: Shown): bigint | number {
  return value !== undefined && rank.order(value, bound) < 0 ? value : bound;
}

function checkOrder(
  shard: number,
  groups: readonly Message[],
  rank: Rank,
  kth: Shown,
  shown: (group: Message) => Shown,
) {
  let before: Shown;
  for (const [index, group] of groups.entries()) {
    const value = shown(group);
    if (index > 0 && rank.order(before, value) > 0)
      throw badPartial(shard, `group ${index} is out of the order asked for`);
    before = value;
  }
  if (rank.order(before, kth) !== 0) throw badPartial(shard, `its last group is ${before}, its bound says ${kth}`);
}
