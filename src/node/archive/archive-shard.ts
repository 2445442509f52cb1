import { toJsonString } from "@bufbuild/protobuf";
import { ShardManifestSchema } from "../../wire/generated/skynetes/v1/seal_pb.ts";
import type { FrozenShard, ShardDirectory } from "../snapshot/shard-directory.ts";
import { segmentsOf } from "../snapshot/shard-directory.ts";
import type { Archive, ArchiveKey } from "./archive.ts";

/** Copies a frozen shard into the archive; does only what is missing, so it can be repeated after a crash. */
export async function archiveShard(
  archive: Archive,
  key: ArchiveKey,
  frozen: FrozenShard,
  directory: ShardDirectory,
  text: string,
): Promise<void> {
  await putObjects(archive, frozen, directory);
  const there = await archive.readManifest(key).catch(() => undefined);
  if (there?.manifestSha256 !== frozen.manifestSha256) await archive.putManifest(key, text);
  // Somebody who drops another snapshot may have taken an object away before this manifest named it.
  await putObjects(archive, frozen, directory);
}

async function putObjects(archive: Archive, { manifest }: FrozenShard, directory: ShardDirectory): Promise<void> {
  for (const { sha256, bytes } of segmentsOf(manifest)) {
    await archive.putObject(sha256, bytes, directory.segmentPath(sha256));
  }
}

/** The text of a manifest's file; equal manifests make equal texts. */
export function manifestText(frozen: FrozenShard): string {
  return toJsonString(ShardManifestSchema, frozen.manifest, { prettySpaces: 2 });
}
