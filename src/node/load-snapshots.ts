import { Fault } from "../fault/fault.ts";
import { faultFromUnknown } from "../fault/fault-from-unknown.ts";
import type { Archive, ArchiveKey } from "./archive/archive.ts";
import { archiveShard } from "./archive/archive-shard.ts";
import { repairSegments, restoreSnapshot } from "./archive/restore-snapshot.ts";
import type { FrozenShard } from "./frozen-shard.ts";
import type { NodeConfig } from "./node-config.ts";
import type { ShardDirectory } from "./snapshot/shard-directory.ts";

/** What a shard has of snapshots when its node starts. */
export interface LoadedSnapshots {
  readonly frozen: Map<string, FrozenShard>;
  readonly damaged: Map<string, Fault>;
  readonly unarchived: Set<string>;
}

/**
 * The snapshots that lie here, each whole and archived: missing files and files of another size are fetched from the
 * archive now, every byte is compared before a service may load them.
 */
export async function loadSnapshots(
  config: NodeConfig,
  shard: number,
  directory: ShardDirectory,
  archive: Archive,
): Promise<LoadedSnapshots> {
  const frozen = new Map<string, FrozenShard>();
  const damaged = new Map<string, Fault>();
  const unarchived = new Set<string>();
  for (const snapshot of await directory.snapshots()) {
    const key = { shard, snapshot, node: config.node };
    try {
      const found =
        (await readOwn(config, directory, key)) ?? (await restoreSnapshot(archive, config.mesh, key, directory, "own"));
      // A directory without manifest is a freeze that did not come to its end.
      if (found === undefined) await directory.removeSnapshot(snapshot);
      else {
        await repairSegments(archive, directory, found, "size");
        frozen.set(snapshot, found);
        unarchived.add(snapshot);
      }
    } catch (error) {
      damaged.set(snapshot, faultFromUnknown(error, `load snapshot "${snapshot}" of shard ${shard}`));
    }
  }
  if (damaged.size === 0) await directory.removeOrphans([...frozen.values()].map(({ manifest }) => manifest));
  await archiveLoaded(config, shard, { frozen, damaged, unarchived }, directory, archive);
  return { frozen, damaged, unarchived };
}

/**
 * It may have died between a manifest here and the one in the archive, and frozen means archived. An archive that cannot
 * be used keeps no sealed snapshot from being served: the rest follows when it can.
 */
async function archiveLoaded(
  { node }: NodeConfig,
  shard: number,
  { frozen, damaged, unarchived }: LoadedSnapshots,
  directory: ShardDirectory,
  archive: Archive,
): Promise<void> {
  for (const [snapshot, found] of frozen) {
    try {
      await archiveShard(archive, { shard, snapshot, node }, found, directory);
    } catch (error) {
      const fault = faultFromUnknown(error, `archive snapshot "${snapshot}" of shard ${shard}`);
      if (fault.id === "archive-unavailable" || fault.id === "fenced") return;
      frozen.delete(snapshot);
      damaged.set(snapshot, fault);
    }
    unarchived.delete(snapshot);
  }
}

/** `undefined` when the manifest is not there, cannot be read, or is of something else. */
async function readOwn(
  config: NodeConfig,
  directory: ShardDirectory,
  key: ArchiveKey,
): Promise<FrozenShard | undefined> {
  const found = await directory.readManifest(key.snapshot).catch((error: unknown) => {
    if (error instanceof Fault) return undefined;
    throw error;
  });
  const { mesh, shard, snapshot } = found?.manifest ?? {};
  return mesh === config.mesh && shard === key.shard && snapshot === key.snapshot ? found : undefined;
}
