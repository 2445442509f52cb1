import { Fault } from "../../fault/fault.ts";
import { type SegmentFile, segmentsOf } from "../../seal/segment-files.ts";
import { type FrozenShard, frozenShard, manifestText } from "../frozen-shard.ts";
import type { ShardDirectory } from "../snapshot/shard-directory.ts";
import type { Archive, ArchiveKey } from "./archive.ts";
import { readableCopies } from "./archived-shards.ts";

/** How far a local segment is trusted: by its size, or by every byte. */
export type SegmentCheck = "size" | "content";

/**
 * Brings a snapshot of a shard back from the archive: segments first, verified, the manifest last. By this node's own
 * manifest; where any's will do and that leads to no good data, by another node's, which has the same rows in other
 * segments. Returns `undefined` when there is none. Fault `data-corrupt` when all that is archived is damaged.
 */
export async function restoreSnapshot(
  archive: Archive,
  mesh: string,
  key: ArchiveKey,
  directory: ShardDirectory,
  whose: "own" | "any",
): Promise<FrozenShard | undefined> {
  let damage: Fault | undefined;
  for await (const { node, frozen } of readableCopies(archive, mesh, key, key.node)) {
    if (whose === "own" && node !== key.node) break;
    const own = node === key.node ? frozen : withoutViews(frozen);
    try {
      await repairSegments(archive, directory, own, "content");
      await directory.writeManifest(key.snapshot, manifestText(own.manifest));
      return own;
    } catch (error) {
      if (!(error instanceof Fault) || error.id !== "data-corrupt") throw error;
      damage ??= error;
    }
  }
  if (damage !== undefined) throw damage;
  return undefined;
}

/** Views of another node's store are not here; the segments hold the same rows. */
function withoutViews(frozen: FrozenShard): FrozenShard {
  if (frozen.manifest.views === undefined) return frozen;
  const { views: _, ...manifest } = frozen.manifest;
  return frozenShard(manifest);
}

/**
 * Replaces local segments that are missing or damaged by the archive's copies, and returns them. Fault `data-corrupt`,
 * naming both files, when the archive has no good copy either; then nothing of the snapshot may be served, and the local
 * file goes, so that the next start sees at a glance that it is damaged.
 */
export async function repairSegments(
  archive: Archive,
  directory: ShardDirectory,
  frozen: FrozenShard,
  check: SegmentCheck,
): Promise<SegmentFile[]> {
  const repaired: SegmentFile[] = [];
  for (const segment of segmentsOf(frozen.manifest)) {
    const damage = await damageOf(directory, segment, check);
    if (damage === undefined) continue;
    try {
      await archive.fetchObject(segment.sha256, directory.segmentPath(segment.sha256));
    } catch (error) {
      // The archive may have a good copy, and says so another time.
      if (!(error instanceof Fault) || error.id !== "data-corrupt") throw error;
      const reason = error.message;
      await directory.removeSegment(segment.sha256);
      throw new Fault("data-corrupt", `${damage.message}; repair it from the archive: ${reason}`, {}, error);
    }
    repaired.push(segment);
  }
  return repaired;
}

async function damageOf(
  directory: ShardDirectory,
  segment: SegmentFile,
  check: SegmentCheck,
): Promise<Fault | undefined> {
  try {
    await (check === "size" ? directory.checkSize(segment) : directory.checkContent(segment));
    return undefined;
  } catch (error) {
    if (error instanceof Fault && error.id === "data-corrupt") return error;
    throw error;
  }
}
