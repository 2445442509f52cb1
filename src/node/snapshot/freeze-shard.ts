import { create } from "@bufbuild/protobuf";
import { Fault } from "../../fault/fault.ts";
import { type Cut, cutText, positionIn } from "../../mesh/cut.ts";
import type { TableSpec } from "../../mesh/table-spec.ts";
import {
  type ShardManifest,
  ShardManifestSchema,
  type TableManifest,
} from "../../wire/generated/skynetes/v1/seal_pb.ts";
import { type FrozenShard, frozenShard, manifestText } from "../frozen-shard.ts";
import type { ShardStore } from "../store/shard-store.ts";
import { storeFault } from "../store/store-fault.ts";
import { freezeTable } from "./freeze-table.ts";
import { cutFromWire, wireCut } from "./manifest-cut.ts";
import type { ShardDirectory } from "./shard-directory.ts";
import { stateDigest } from "./state-digest.ts";
import type { TableState } from "./table-state.ts";

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
  try {
    return await frozen(request);
  } catch (error) {
    throw isDiskError(error) ? storeFault(error, `freeze shard ${request.shard} as "${request.snapshot}"`) : error;
  }
}

/** What a file system says, such as that it is full: the same freeze may succeed later. */
function isDiskError(error: unknown): boolean {
  return error instanceof Error && "syscall" in error && "code" in error;
}

async function frozen(request: FreezeRequest): Promise<FrozenShard> {
  const { mesh, shard, snapshot, cut, store, directory } = request;
  const horizon = await store.horizon();
  await checkCut(request, horizon);
  const tables: TableManifest[] = [];
  for (const table of request.tables) {
    const ofTopic = cut.filter(({ topic }) => topic === table.topic);
    const earlier = statesOf(request.earlier, table);
    tables.push(await freezeTable({ table, cut: ofTopic, earlier, horizon, store, directory }));
  }
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

function statesOf(manifests: readonly ShardManifest[], { name, topic }: TableSpec): TableState[] {
  return manifests.flatMap(({ cut, tables }) => {
    const reached = cutFromWire(cut).filter((position) => position.topic === topic);
    return tables.filter((table) => table.name === name).map(({ segments }) => ({ segments, reached }));
  });
}

async function checkCut({ shard, snapshot, cut, store }: FreezeRequest, horizon: Cut): Promise<void> {
  const what = `freeze shard ${shard} as "${snapshot}" at ${cutText(cut)}`;
  const position = await store.position();
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
