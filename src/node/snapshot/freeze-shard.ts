import { rm } from "node:fs/promises";
import { create } from "@bufbuild/protobuf";
import { Fault } from "../../fault/fault.ts";
import { type Cut, cutOf, cutText, positionIn } from "../../mesh/cut.ts";
import type { TableSpec } from "../../mesh/table-spec.ts";
import {
  type Segment,
  SegmentSchema,
  type ShardManifest,
  ShardManifestSchema,
  type TableManifest,
  TableManifestSchema,
} from "../../wire/generated/skynetes/v1/seal_pb.ts";
import { type FrozenShard, frozenShard, manifestText } from "../frozen-shard.ts";
import type { ShardStore } from "../store/shard-store.ts";
import { combineStatistics } from "./column-statistics.ts";
import { cutFromWire, sameCut, wireCut } from "./manifest-cut.ts";
import { longestChain } from "./segment-chain.ts";
import type { ShardDirectory } from "./shard-directory.ts";
import { addDigests, stateDigest } from "./state-digest.ts";

/** A longer chain is written anew as one segment, so that a service need not open thousands of files. */
const SEGMENTS_MAX = 64;

export interface FreezeRequest {
  readonly mesh: string;
  readonly shard: number;
  readonly snapshot: string;
  /** Exactly the partitions that the shard holds, ordered. */
  readonly cut: Cut;
  readonly tables: readonly TableSpec[];
  /** Manifests of earlier freezes. Of their segments only those are named again whose bytes are as they were written. */
  readonly earlier: readonly ShardManifest[];
  readonly store: ShardStore;
  readonly directory: ShardDirectory;
}

/**
 * Makes the shard's state at a cut durable: segments, then the manifest. The state is a function of the log and the cut
 * alone, so any cut between horizon and position can be frozen, in any order, while ingest goes on.
 * Faults: `cut-not-reached`, `cut-below-horizon`, `topic-recreated`, `store-failed`.
 */
export async function freezeShard(request: FreezeRequest): Promise<FrozenShard> {
  const { mesh, shard, snapshot, cut, store, directory } = request;
  await checkCut(request);
  const tables: TableManifest[] = [];
  for (const table of request.tables) tables.push(await freezeTable(request, table));
  const manifest = create(ShardManifestSchema, {
    mesh,
    shard,
    snapshot,
    cut: wireCut(cut),
    tables,
    stateDigest: stateDigest(tables),
    rejected: await store.rejectedBelow(cut),
    ...(store.views === undefined ? {} : { views: await store.views.publish(snapshot, cut) }),
  });
  await directory.writeManifest(snapshot, manifestText(manifest));
  return frozenShard(manifest);
}

async function checkCut({ shard, snapshot, cut, store }: FreezeRequest): Promise<void> {
  const what = `freeze shard ${shard} as "${snapshot}" at ${cutText(cut)}`;
  const position = await store.position();
  const horizon = await store.horizon();
  for (const wanted of cut) {
    const where = `${wanted.topic}/${wanted.partition}`;
    const committed = positionIn(position, wanted.topic, wanted.partition);
    if (committed !== undefined && committed.topicId !== wanted.topicId) {
      throw new Fault("topic-recreated", `${what}: the shard holds topic id ${committed.topicId} of ${where}`);
    }
    if ((committed?.position ?? 0n) < wanted.position) {
      throw new Fault("cut-not-reached", `${what}: ${where} is ingested to ${committed?.position ?? 0n} only`);
    }
    const lowest = positionIn(horizon, wanted.topic, wanted.partition)?.position ?? 0n;
    if (wanted.position < lowest) {
      throw new Fault("cut-below-horizon", `${what}: ${where} can be frozen from ${lowest} on`);
    }
  }
}

async function freezeTable(request: FreezeRequest, table: TableSpec): Promise<TableManifest> {
  const cut = request.cut.filter((position) => position.topic === table.topic);
  const segments =
    table.kind === "Append" ? await appendSegments(request, table, cut) : await upsertSegments(request, table, cut);
  return create(TableManifestSchema, {
    name: table.name,
    broadcast: table.distribution === "Broadcast",
    columns: table.columns.map(({ name, type, nullable }) => ({ name, type, nullable })),
    rows: segments.reduce((sum, segment) => sum + segment.rows, 0n),
    digest: addDigests(segments.map((segment) => segment.digest)),
    segments: [...segments],
    statistics: combineStatistics(table, segments),
  });
}

async function appendSegments(request: FreezeRequest, table: TableSpec, cut: Cut): Promise<readonly Segment[]> {
  const beginning = cutOf(cut.map((position) => ({ ...position, position: 0n })));
  const earlier = request.earlier.flatMap((manifest) => tableIn(manifest, table)?.segments ?? []);
  const longest = await soundChain(request.directory, earlier, beginning, cut);
  const chain = longest.segments.length < SEGMENTS_MAX ? longest : { segments: [], reached: beginning };
  if (sameCut(chain.reached, cut)) return chain.segments;
  const tail = await writeSegment(request, table, chain.reached, cut);
  return tail === undefined ? chain.segments : [...chain.segments, tail];
}

/** The longest chain of undamaged segments: one that is damaged must not spoil every snapshot that comes after. */
async function soundChain(directory: ShardDirectory, earlier: readonly Segment[], beginning: Cut, cut: Cut) {
  const sound = new Set<string>();
  const damaged = new Set<string>();
  for (;;) {
    const usable = earlier.filter(({ sha256 }) => !damaged.has(sha256));
    const chain = longestChain(usable, beginning, cut);
    const unread = chain.segments.find(({ sha256 }) => !sound.has(sha256));
    if (unread === undefined) return chain;
    ((await directory.isSound(unread)) ? sound : damaged).add(unread.sha256);
  }
}

/** The newest row of each key moves with every cut, so the table is written whole unless its topic stood still. */
async function upsertSegments(request: FreezeRequest, table: TableSpec, cut: Cut): Promise<readonly Segment[]> {
  for (const manifest of request.earlier) {
    const same = cutFromWire(manifest.cut).filter((position) => position.topic === table.topic);
    const frozen = tableIn(manifest, table);
    if (frozen === undefined || !sameCut(same, cut)) continue;
    const sound = await Promise.all(frozen.segments.map((segment) => request.directory.isSound(segment)));
    if (sound.every(Boolean)) return frozen.segments;
  }
  const whole = await writeSegment(request, table, [], cut);
  return whole === undefined ? [] : [whole];
}

/** `undefined` when there are no rows: a table without rows has no segment. */
async function writeSegment(
  { store, directory }: FreezeRequest,
  table: TableSpec,
  from: Cut,
  to: Cut,
): Promise<Segment | undefined> {
  const path = directory.newSegmentPath();
  try {
    const content = await store.writeSegment({ table: table.name, from, to, path });
    if (content.rows === 0n) return undefined;
    const { sha256, bytes } = await directory.adoptSegment(path);
    return create(SegmentSchema, {
      sha256,
      bytes,
      rows: content.rows,
      digest: content.digest,
      statistics: [...content.statistics],
      ...(table.kind === "Append" ? { from: wireCut(from), to: wireCut(to) } : {}),
    });
  } finally {
    await rm(path, { force: true });
  }
}

function tableIn(manifest: ShardManifest, table: TableSpec): TableManifest | undefined {
  return manifest.tables.find(({ name }) => name === table.name);
}
