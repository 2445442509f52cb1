import { rm } from "node:fs/promises";
import { create } from "@bufbuild/protobuf";
import { Fault } from "../../fault/fault.ts";
import { type Cut, cutOf, cutText, positionIn } from "../../mesh/cut.ts";
import type { TableSpec } from "../../mesh/table-spec.ts";
import { crashPoint } from "../../process/crash-point.ts";
import {
  RemovalsSchema,
  type Segment,
  SegmentSchema,
  type TableManifest,
  TableManifestSchema,
} from "../../wire/generated/skynetes/v1/seal_pb.ts";
import type { SegmentContent, ShardStore, StoredSegment } from "../store/shard-store.ts";
import { combineStatistics } from "./column-statistics.ts";
import { firstToMerge } from "./compaction-rule.ts";
import { cutFromWire, sameCut, wireCut } from "./manifest-cut.ts";
import type { ShardDirectory } from "./shard-directory.ts";
import { addDigests, subtractDigests } from "./state-digest.ts";
import { filesOfState, nearestState, type TableState } from "./table-state.ts";

export interface TableFreeze {
  readonly table: TableSpec;
  /** Positions of the table's own topic. */
  readonly cut: Cut;
  /** What earlier freezes left of the table. */
  readonly earlier: readonly TableState[];
  /** Below it the store has no rows. */
  readonly horizon: Cut;
  readonly store: ShardStore;
  readonly directory: ShardDirectory;
}

/**
 * The table's state at the cut: the nearest earlier state, its segments merged where that pays, and a segment of what is
 * new since. Rows, digest and nulls are those of the segments less those of what is removed; no row of an earlier segment
 * is read for that but those that are removed.
 */
export async function freezeTable(freeze: TableFreeze): Promise<TableManifest> {
  const { table, cut } = freeze;
  const start = await soundState(freeze);
  const segments = sameCut(start.reached, cut) ? start.segments : await withTail(freeze, start);
  return create(TableManifestSchema, {
    name: table.name,
    broadcast: table.distribution === "Broadcast",
    columns: table.columns.map(({ name, type, nullable }) => ({ name, type, nullable })),
    ...contentOf(segments),
    segments: [...segments],
    statistics: combineStatistics(table, segments),
    key: [...table.key],
  });
}

/** The nearest state without damage: one file that is damaged must not spoil every snapshot that comes after. */
async function soundState({ table, cut, earlier, horizon, directory }: TableFreeze): Promise<TableState> {
  const sound = new Set<string>();
  const damaged = new Set<string>();
  let states = [...earlier];
  for (;;) {
    const nearest = nearestState(states, table, cut, horizon);
    if (nearest === undefined) return emptyState(table, cut, horizon);
    const unread = filesOfState(nearest).find(({ sha256 }) => !sound.has(sha256));
    if (unread === undefined) return nearest;
    if (await directory.isSound(unread)) sound.add(unread.sha256);
    else damaged.add(unread.sha256);
    states = states.map((state) => soundBeginning(state, damaged));
  }
}

/** Up to the first segment that is damaged. */
function soundBeginning(state: TableState, damaged: ReadonlySet<string>): TableState {
  const bad = state.segments.findIndex((segment) =>
    filesOfState({ segments: [segment], reached: [] }).some(({ sha256 }) => damaged.has(sha256)),
  );
  if (bad < 0) return state;
  const to = state.segments[bad - 1]?.to;
  return {
    segments: to === undefined ? [] : state.segments.slice(0, bad),
    reached: to === undefined ? [] : cutFromWire(to),
  };
}

function emptyState(table: TableSpec, cut: Cut, horizon: Cut): TableState {
  const below = cut.find((p) => (positionIn(horizon, p.topic, p.partition)?.position ?? 0n) > 0n);
  if (below === undefined) return { segments: [], reached: cutOf(cut.map((p) => ({ ...p, position: 0n }))) };
  throw new Fault(
    "data-corrupt",
    `freeze table "${table.name}" at ${cutText(cut)}: the store has rows from ${cutText(horizon)} on, ` +
      "and there is no undamaged snapshot of what is below",
  );
}

async function withTail(freeze: TableFreeze, start: TableState): Promise<readonly Segment[]> {
  const base = await merged(freeze, start.segments);
  const tail = await writeTail(freeze, { segments: base, reached: start.reached });
  return tail === undefined ? base : [...base, tail];
}

/** Fault `data-corrupt`: the merged segment holds something else than those that it was made of. */
async function merged(
  { table, store, directory }: TableFreeze,
  segments: readonly Segment[],
): Promise<readonly Segment[]> {
  const first = firstToMerge(segments);
  if (first === undefined) return segments;
  const stored = storedSegments(directory, segments);
  const one = await written(directory, { from: segments[first]!.from, to: segments.at(-1)!.to }, (path, removalsPath) =>
    store.mergeSegments({ table: table.name, segments: stored, first, path, removalsPath }),
  );
  crashPoint("segments-merged");
  const result = [...segments.slice(0, first), ...(one === undefined ? [] : [one])];
  const [before, after] = [contentOf(segments), contentOf(result)];
  if (before.rows === after.rows && before.digest === after.digest) return result;
  throw new Fault(
    "data-corrupt",
    `merge segments of table "${table.name}": ${before.rows} rows of digest ${before.digest} became ` +
      `${after.rows} of ${after.digest}`,
  );
}

/** `undefined` when nothing is new. */
function writeTail({ table, cut, store, directory }: TableFreeze, { segments, reached }: TableState) {
  const base = table.kind === "Upsert" ? storedSegments(directory, segments) : [];
  return written(directory, { from: wireCut(reached), to: wireCut(cut) }, (path, removalsPath) =>
    store.writeSegment({ table: table.name, from: reached, to: cut, path, base, removalsPath }),
  );
}

/** Makes durable what `write` writes, removals first: the segment names them. */
async function written(
  directory: ShardDirectory,
  range: Pick<Segment, "from" | "to">,
  write: (path: string, removalsPath: string) => Promise<SegmentContent>,
): Promise<Segment | undefined> {
  const [path, removalsPath] = [directory.newSegmentPath(), directory.newSegmentPath()];
  try {
    const { rows, digest, statistics, removals } = await write(path, removalsPath);
    if (rows === 0n && removals === undefined) return undefined;
    const removed =
      removals === undefined
        ? {}
        : {
            removals: create(RemovalsSchema, {
              ...(await directory.adoptSegment(removalsPath)),
              ...removals,
              nulls: [...removals.nulls],
            }),
          };
    const file = await directory.adoptSegment(path);
    const { from, to } = range;
    return create(SegmentSchema, {
      ...file,
      rows,
      digest,
      statistics: [...statistics],
      ...(from === undefined || to === undefined ? {} : { from, to }),
      ...removed,
    });
  } finally {
    for (const temporary of [path, removalsPath]) await rm(temporary, { force: true });
  }
}

function storedSegments(directory: ShardDirectory, segments: readonly Segment[]): StoredSegment[] {
  return segments.map(({ sha256, removals }) => ({
    sha256,
    path: directory.segmentPath(sha256),
    removalsPath: removals === undefined ? undefined : directory.segmentPath(removals.sha256),
  }));
}

/** What is visible. */
export function contentOf(segments: readonly Segment[]): { rows: bigint; digest: string } {
  const removals = segments.flatMap((segment) => segment.removals ?? []);
  const sum = (of: readonly { readonly rows: bigint }[]) => of.reduce((total, { rows }) => total + rows, 0n);
  const digests = (of: readonly { readonly digest: string }[]) => of.map(({ digest }) => digest);
  return {
    rows: sum(segments) - sum(removals),
    digest: subtractDigests(addDigests(digests(segments)), digests(removals)),
  };
}
