import type { Segment } from "../../wire/generated/skynetes/v1/seal_pb.ts";

/**
 * Which segments of a state are made one before a tail is added to it: those from the returned one on; `undefined`: none.
 *
 * A segment's weight is the number of rows that it holds and removes. Each must weigh more than twice as much as all after
 * it together; the first that does not is merged with all after it:
 *
 *     9000 300 40 | 12       stays; the tail is always a segment of its own
 *     9000 300 [40 30]       40 ≤ 2 × 30
 *     9000 [300 160]
 *
 * So n rows lie in at most log₃ n segments and the tail, and a row is written again at most log₁.₅ n times: whenever it is,
 * its segment has grown by half. Where removals name half of all rows, everything is written anew: what is dead never
 * takes more room than what lives, and each row written is paid for by one that was removed.
 */
export function firstToMerge(segments: readonly Segment[]): number | undefined {
  if (segments.length < 2) return undefined;
  const held = segments.reduce((sum, { rows }) => sum + rows, 0n);
  const removed = segments.reduce((sum, { removals }) => sum + (removals?.rows ?? 0n), 0n);
  if (removed * 2n >= held) return 0;
  let first: number | undefined;
  let later = weightOf(segments.at(-1)!);
  for (let i = segments.length - 2; i >= 0; i--) {
    const weight = weightOf(segments[i]!);
    if (weight <= 2n * later) first = i;
    later += weight;
  }
  return first;
}

function weightOf({ rows, removals }: Segment): bigint {
  return rows + (removals?.rows ?? 0n);
}
