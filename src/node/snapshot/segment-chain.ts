import { type Cut, cutContains, positionIn } from "../../mesh/cut.ts";
import type { Segment } from "../../wire/generated/skynetes/v1/seal_pb.ts";
import { cutFromWire, sameCut } from "./manifest-cut.ts";

/**
 * An append table never changes below a cut, so what earlier freezes wrote is named again and only the tail is written.
 *
 *     freeze at 10   [0,10)
 *     freeze at 25   [0,10) [10,25)
 *     freeze at 18   [0,10) [10,18)      a lower cut after a higher one: the longest chain that ends at or below it
 *
 * Segments are edges between cuts; the chain is the path from the beginning that comes nearest to `cut` without passing
 * it. Of equally long paths the one with fewer segments wins, then the one whose names come first, so that the choice
 * depends on the set of segments alone.
 */
export function longestChain(segments: Iterable<Segment>, beginning: Cut, cut: Cut): SegmentChain {
  const edges = [...new Map([...segments].map((segment) => [segment.sha256, segment])).values()]
    .map((segment) => ({ segment, from: cutFromWire(segment.from), to: cutFromWire(segment.to) }))
    .filter(({ from, to }) => covers(cut, to) && !sameCut(from, to))
    .sort((a, b) => (length(a.to) < length(b.to) ? -1 : length(a.to) > length(b.to) ? 1 : 0));
  // In the order of their ends every edge comes after all that can precede it.
  const best = new Map<string, SegmentChain>([[keyOf(beginning), { segments: [], reached: beginning }]]);
  for (const { segment, from, to } of edges) {
    const before = best.get(keyOf(from));
    if (before === undefined) continue;
    const chain = { segments: [...before.segments, segment], reached: to };
    const rival = best.get(keyOf(to));
    if (rival === undefined || prefer(chain, rival)) best.set(keyOf(to), chain);
  }
  let longest: SegmentChain = { segments: [], reached: beginning };
  for (const chain of best.values()) {
    const more = length(chain.reached) - length(longest.reached);
    if (more > 0n || (more === 0n && prefer(chain, longest))) longest = chain;
  }
  return longest;
}

export interface SegmentChain {
  readonly segments: readonly Segment[];
  /** Where the tail begins. */
  readonly reached: Cut;
}

/** Same partitions, none beyond: a segment of a topic made anew never fits. */
function covers(cut: Cut, to: Cut): boolean {
  return to.length === cut.length && cutContains(cut, to) && to.every((p) => positionIn(cut, p.topic, p.partition));
}

function prefer(a: SegmentChain, b: SegmentChain): boolean {
  if (a.segments.length !== b.segments.length) return a.segments.length < b.segments.length;
  return names(a) < names(b);
}

function names(chain: SegmentChain): string {
  return chain.segments.map((segment) => segment.sha256).join();
}

function length(cut: Cut): bigint {
  return cut.reduce((sum, p) => sum + p.position, 0n);
}

function keyOf(cut: Cut): string {
  return cut.map((p) => `${p.topic}/${p.topicId}/${p.partition}@${p.position}`).join(" ");
}
