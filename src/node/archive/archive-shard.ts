import { segmentsOf } from "../../seal/segment-files.ts";
import { type FrozenShard, manifestText } from "../frozen-shard.ts";
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
  const there = await archive.readManifest(key).catch((error: { id?: string }) => {
    // One that cannot be read is written anew.
    if (error.id === "data-corrupt") return undefined;
    throw error;
  });
  if (there?.manifestSha256 !== frozen.manifestSha256) await archive.putManifest(key, manifestText(frozen.manifest));
  // The collector may have taken an object away before this manifest named it.
  await putObjects(archive, frozen, directory);
}

async function putObjects(archive: Archive, { manifest }: FrozenShard, directory: ShardDirectory): Promise<void> {
  for (const { sha256 } of await archive.missing(segmentsOf(manifest))) {
    await archive.putObject(sha256, directory.segmentPath(sha256));
  }
}
