import { readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { crashPoint } from "../process/crash-point.ts";
import { syncDirectory } from "../process/durable-file.ts";
import type { Archive } from "./archive/archive.ts";
import { shardDirectory } from "./hosted-shard.ts";
import type { NodeConfig } from "./node-config.ts";
import { rederiveDirectory } from "./rederive-shard.ts";
import { dropShardStore } from "./store/open-shard-store.ts";

/** A directory that is on its way out: half of a store must never be opened as one. */
const REMOVED = ".removed";

/**
 * Takes away all that this node has of a closed shard that is placed elsewhere now. Its copies in the archive go where
 * another node has one of the same snapshot, since nobody would ever drop them.
 */
export async function removeShard(config: NodeConfig, shard: number, archive: Archive): Promise<void> {
  const snapshots = await namesIn(join(shardDirectory(config, shard), "snapshots"));
  for (const snapshot of snapshots) {
    const others = (await archive.replicas(shard, snapshot)).filter(({ node }) => node !== config.node);
    if (others.length > 0) await archive.dropManifest({ shard, snapshot, node: config.node });
  }
  crashPoint("shard-copies-dropped");
  await emptyShard(config, shard);
}

/**
 * Takes away the store and the directory of a closed shard: each whole, or not at all as far as the next start can see. A
 * store without rows beside snapshots reads the log anew.
 */
export async function emptyShard(config: NodeConfig, shard: number): Promise<void> {
  if (config.database !== undefined) await dropShardStore(config.database, config.node, shard);
  const path = shardDirectory(config, shard);
  await rm(path + REMOVED, { recursive: true, force: true });
  await rename(path, path + REMOVED).catch(notThere);
  await syncDirectory(config.dataDirectory);
  crashPoint("shard-set-aside");
  await rm(path + REMOVED, { recursive: true, force: true });
}

/** Ends what a process that died had begun. */
export async function clearRemoved(config: NodeConfig): Promise<void> {
  const derived = rederiveDirectory(config, 0).slice(0, -1);
  for (const name of await namesIn(config.dataDirectory)) {
    const path = join(config.dataDirectory, name);
    if (name.endsWith(REMOVED) || path.startsWith(derived)) await rm(path, { recursive: true, force: true });
  }
}

async function namesIn(directory: string): Promise<string[]> {
  return (await readdir(directory).catch(notThere)) ?? [];
}

function notThere(error: NodeJS.ErrnoException): undefined {
  if (error.code !== "ENOENT") throw error;
  return undefined;
}
