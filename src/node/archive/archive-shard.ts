import { type FrozenShard, manifestText, segmentsOf } from "../frozen-shard.ts";
import type { ShardDirectory } from "../snapshot/shard-directory.ts";
import type { Archive, ArchiveKey } from "./archive.ts";

/** Copies a frozen shard into the archive; does only what is missing, so it can be repeated after a crash. */
export async function archiveShard(
  archive: Archive,
  key: ArchiveKey,
  frozen: FrozenShard,
  directory: ShardDirectory,
): Promise<void> {
  await putObjects(archive, frozen, directory);
  const there = await archive.readManifest(key).catch(() => undefined);
  if (there?.manifestSha256 !== frozen.manifestSha256) await archive.putManifest(key, manifestText(frozen.manifest));
  // Somebody who drops another snapshot may have taken an object away before this manifest named it.
  await putObjects(archive, frozen, directory);
}

async function putObjects(archive: Archive, { manifest }: FrozenShard, directory: ShardDirectory): Promise<void> {
  for (const { sha256, bytes } of segmentsOf(manifest)) {
    await archive.putObject(sha256, bytes, directory.segmentPath(sha256));
  }
}
