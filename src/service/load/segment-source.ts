import { join } from "node:path";
import { Fault } from "../../fault/fault.ts";
import type { KnownDigests } from "../../process/known-digests.ts";
import type { ShardManifest } from "../../wire/generated/skynetes/v1/seal_pb.ts";
import type { TableSource } from "./table-source.ts";
import { type ShardFiles, unreadable } from "./verify-shard.ts";
import { visibleRows } from "./visible-rows.ts";

const SHA256 = /^[0-9a-f]{64}$/;

/** Where a shard's segment lies. */
export function segmentPath({ directory }: Pick<ShardFiles, "directory">, sha256: string): string {
  return join(directory, "segments", `${sha256}.parquet`);
}

/**
 * A shard's Parquet segments, every byte of which has been compared, now or when this process first read the file: one
 * with a flipped bit can still open and count its rows. Fault `data-corrupt`, naming the file.
 */
export async function segmentSource(
  manifest: ShardManifest,
  files: ShardFiles,
  digests: KnownDigests,
): Promise<TableSource> {
  await verifySegments(manifest, files, digests);
  return {
    contentNames: (table) =>
      table.segments.flatMap(({ sha256, removals: gone }) => [sha256, ...(gone === undefined ? [] : [gone.sha256])]),
    relation: async (table) => visibleRows(table, (sha256) => segmentPath(files, sha256)),
  };
}

/** Compares every file of a snapshot with its name. Fault `data-corrupt`, naming the file. */
export async function verifySegments(
  manifest: ShardManifest,
  { directory, snapshot }: Pick<ShardFiles, "directory" | "snapshot">,
  digests: KnownDigests,
): Promise<void> {
  const segments = manifest.tables.flatMap((table) => table.segments);
  const removals = segments.flatMap((segment) => segment.removals ?? []);
  for (const sha256 of new Set([...segments, ...removals].map((file) => file.sha256))) {
    // A name that is no digest could also be a path to somewhere else.
    if (!SHA256.test(sha256)) {
      throw new Fault("data-corrupt", `manifest of "${snapshot}" in ${directory}: "${sha256}" is not a sha-256`);
    }
    await verifySegment(segmentPath({ directory }, sha256), sha256, digests);
  }
}

async function verifySegment(path: string, expected: string, digests: KnownDigests): Promise<void> {
  const actual = await digests.sha256(path).catch((error: unknown) => {
    throw unreadable(path, error);
  });
  if (actual !== expected) throw new Fault("data-corrupt", `${path}: sha-256 is ${actual}, expected ${expected}`);
}
