import type { FrozenShard } from "../frozen-shard.ts";

/** Names one replica's manifest in the archive. */
export interface ArchiveKey {
  readonly shard: number;
  readonly snapshot: string;
  readonly node: string;
}

/**
 * Where snapshots outlive their nodes: segments by their content, manifests by shard, snapshot and node. A manifest is
 * written after all the segments it names, and says that they are there.
 */
export interface Archive {
  /** Copies a segment in, unless it is there; `path` is the local file. */
  putObject(sha256: string, bytes: bigint, path: string): Promise<void>;
  /** True when an object of that name and size is there. */
  hasObject(sha256: string, bytes: bigint): Promise<boolean>;
  /** Copies a segment out, durably. Fault `data-corrupt`, naming the file, when it is missing or its content differs. */
  fetchObject(sha256: string, path: string): Promise<void>;
  /** Replaces what is there: a shard that was frozen anew has other segments with the same rows. */
  putManifest(key: ArchiveKey, text: string): Promise<void>;
  /** `undefined` when there is none. Fault `data-corrupt` when it cannot be read. */
  readManifest(key: ArchiveKey): Promise<FrozenShard | undefined>;
  /** Nodes that have archived a shard of a snapshot, ascending. */
  replicas(shard: number, snapshot: string): Promise<string[]>;
  /** Removes a manifest and the objects that no manifest names any more. */
  dropManifest(key: ArchiveKey): Promise<void>;
}
