import { type Cut, cutContains, positionIn } from "../../mesh/cut.ts";
import type { TableSpec } from "../../mesh/table-spec.ts";
import { filesOfSegment } from "../../seal/segment-files.ts";
import type { Segment } from "../../wire/generated/skynetes/v1/seal_pb.ts";
import { cutFromWire, sameCut } from "./manifest-cut.ts";

/** What is visible of a table at a cut, as the files that hold it. */
export interface TableState {
  /** In the order in which they were made. */
  readonly segments: readonly Segment[];
  /** Where the tail begins: the positions of the table's own topic. */
  readonly reached: Cut;
}

/**
 * What is below a cut never changes, so what earlier freezes wrote is named again and only the tail is written.
 *
 *     freeze at 10   [0,10)
 *     freeze at 25   [0,10) [10,25)
 *     freeze at 18   [0,10) [10,18)      a lower cut after a higher one
 *
 * A segment removes rows of segments before it only, so the first n segments of a state are a state too: that at the end of
 * the n-th. Of all these the one is taken that comes nearest to `cut` without passing it; of equally near ones that with
 * fewer segments, then the one whose names come first, so that the choice depends on what there is alone. The store cannot
 * tell what lies between a state and a later `horizon`, so such a state serves its own cut only. `undefined`: there is none.
 */
export function nearestState(
  frozen: Iterable<TableState>,
  table: TableSpec,
  cut: Cut,
  horizon: Cut,
): TableState | undefined {
  let nearest: TableState | undefined;
  for (const state of frozen) {
    for (const candidate of beginningsOf(state)) {
      if (!covers(cut, candidate.reached)) continue;
      const canGoOn = isExtensible(candidate, table) && isAbove(candidate.reached, horizon);
      if (!canGoOn && !sameCut(candidate.reached, cut)) continue;
      if (nearest === undefined || isNearer(candidate, nearest)) nearest = candidate;
    }
  }
  return nearest;
}

export function filesOfState(state: TableState) {
  return state.segments.flatMap(filesOfSegment);
}

/** The state itself first: its last segment may end below it, where the records beyond made no row. */
function beginningsOf({ segments, reached }: TableState): TableState[] {
  const states: TableState[] = [{ segments, reached }];
  for (let n = segments.length - 1; n > 0; n--) {
    const { to } = segments[n - 1]!;
    if (to !== undefined) states.push({ segments: segments.slice(0, n), reached: cutFromWire(to) });
  }
  return states;
}

/** Segments of upsert tables that say nothing of positions were written before there was anything to be added to them. */
function isExtensible({ segments }: TableState, table: TableSpec): boolean {
  return table.kind === "Append" || segments.every(({ to }) => to !== undefined);
}

function isAbove(reached: Cut, horizon: Cut): boolean {
  return reached.every((p) => p.position >= (positionIn(horizon, p.topic, p.partition)?.position ?? 0n));
}

/** Same partitions, none beyond: a segment of a topic made anew never fits. */
function covers(cut: Cut, reached: Cut): boolean {
  return (
    reached.length === cut.length &&
    cutContains(cut, reached) &&
    reached.every((p) => positionIn(cut, p.topic, p.partition)?.topicId === p.topicId)
  );
}

function isNearer(a: TableState, b: TableState): boolean {
  const difference = length(a.reached) - length(b.reached);
  if (difference !== 0n) return difference > 0n;
  if (a.segments.length !== b.segments.length) return a.segments.length < b.segments.length;
  return names(a) < names(b);
}

function names(state: TableState): string {
  return filesOfState(state)
    .map(({ sha256 }) => sha256)
    .join();
}

function length(cut: Cut): bigint {
  return cut.reduce((sum, p) => sum + p.position, 0n);
}
