import { create } from "@bufbuild/protobuf";
import { type Timestamp, timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Fault } from "../fault/fault.ts";
import {
  type Cut,
  type Seal,
  SealSchema,
  type ShardManifest,
  type ShardSeal,
  ShardSealSchema,
} from "../wire/generated/skynetes/v1/seal_pb.ts";
import { segmentsOf } from "./segment-files.ts";

export interface SealInput {
  readonly mesh: string;
  readonly snapshot: string;
  readonly shards: number;
  readonly cut: Cut;
  readonly createdAtMs: number;
  /** Set when the snapshot was asked for as of a time. */
  readonly asOfMs?: number | undefined;
  readonly inexactTopics?: readonly string[] | undefined;
  /** What the nodes have frozen, in any order. */
  readonly replicas: readonly FrozenReplica[];
}

export interface FrozenReplica {
  readonly node: string;
  readonly manifest: ShardManifest;
  readonly manifestSha256: string;
}

/**
 * The seal of a snapshot: what every shard holds, agreed by its replicas. Pure; equal inputs in any order make equal
 * seals. Faults: `data-corrupt` when replicas differ or a manifest belongs to something else, naming the nodes;
 * `cut-not-reached` when a shard has no replica yet.
 */
export function sealOf(input: SealInput): Seal {
  const replicas = [...input.replicas].sort((a, b) => (a.node < b.node ? -1 : a.node > b.node ? 1 : 0));
  for (const replica of replicas) checkBelongs(input, replica);
  const seals = Array.from({ length: input.shards }, (_, shard) =>
    shardSeal(
      input,
      shard,
      replicas.filter(({ manifest }) => manifest.shard === shard),
    ),
  );
  return create(SealSchema, {
    mesh: input.mesh,
    snapshot: input.snapshot,
    shards: input.shards,
    cut: input.cut,
    createdAt: time(input.createdAtMs),
    ...(input.asOfMs === undefined ? {} : { asOf: time(input.asOfMs) }),
    inexactTopics: [...(input.inexactTopics ?? [])].sort(),
    shardSeals: seals,
  });
}

function shardSeal(input: SealInput, shard: number, replicas: readonly FrozenReplica[]): ShardSeal {
  const [first, ...others] = replicas;
  if (first === undefined) {
    throw new Fault("cut-not-reached", `seal "${input.snapshot}": no node has frozen shard ${shard}`, { shard });
  }
  for (const other of others) checkAgree(input, first, other);
  const { manifest } = first;
  const sharded = manifest.tables.filter((table) => !table.broadcast);
  const sum = (of: readonly { rows: bigint }[]) => of.reduce((total, { rows }) => total + rows, 0n);
  return create(ShardSealSchema, {
    shard,
    stateDigest: manifest.stateDigest,
    rows: sum(sharded),
    broadcastRows: sum(manifest.tables.filter((table) => table.broadcast)),
    bytes: segmentsOf(manifest).reduce((total, { bytes }) => total + bytes, 0n),
    rejected: manifest.rejected,
    tables: sharded.map(({ name, rows, statistics }) => ({ table: name, rows, columns: statistics })),
    replicas: replicas.map(({ node, manifestSha256 }) => ({ node, sha256: manifestSha256 })),
  });
}

function checkBelongs({ mesh, snapshot, shards, cut }: SealInput, { node, manifest }: FrozenReplica): void {
  const what = `seal "${snapshot}": node ${node}'s manifest of shard ${manifest.shard}`;
  if (manifest.mesh !== mesh || manifest.snapshot !== snapshot) {
    throw new Fault("data-corrupt", `${what} is of snapshot "${manifest.snapshot}" of mesh "${manifest.mesh}"`);
  }
  if (manifest.shard < 0 || manifest.shard >= shards)
    throw new Fault("data-corrupt", `${what}: there is no such shard`);
  for (const frozen of manifest.cut?.positions ?? []) {
    const sealed = cut.positions.find((p) => p.topic === frozen.topic && p.partition === frozen.partition);
    if (sealed?.topicId !== frozen.topicId || sealed.position !== frozen.position) {
      throw new Fault(
        "data-corrupt",
        `${what} has ${frozen.topic}/${frozen.partition} at ${frozen.position}, the cut at ${sealed?.position ?? "no position"}`,
        { shard: manifest.shard },
      );
    }
  }
}

/** Replicas may have other segments and sizes; what is in them must be equal. */
function checkAgree({ snapshot }: SealInput, a: FrozenReplica, b: FrozenReplica): void {
  const facts = ({ manifest }: FrozenReplica) =>
    [
      `state digest ${manifest.stateDigest}`,
      `rejected ${manifest.rejected}`,
      ...manifest.tables.map(({ name, rows }) => `${name} rows ${rows}`).sort(),
    ] as const;
  const [mine, theirs] = [facts(a), facts(b)];
  for (let i = 0; i < Math.max(mine.length, theirs.length); i++) {
    if (mine[i] === theirs[i]) continue;
    throw new Fault(
      "data-corrupt",
      `seal "${snapshot}": replicas of shard ${a.manifest.shard} differ: node ${a.node} has ${mine[i]}, node ${b.node} has ${theirs[i]}`,
      { shard: a.manifest.shard },
    );
  }
}

function time(ms: number): Timestamp {
  return timestampFromMs(ms);
}
