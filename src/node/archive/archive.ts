import type { ManifestName } from "../../archive/archive-layout.ts";
import type { SegmentFile } from "../../seal/segment-files.ts";
import type { FrozenShard } from "../frozen-shard.ts";

/** Names what one replica has archived of a snapshot. */
export interface ArchiveKey {
  readonly shard: number;
  readonly snapshot: string;
  readonly node: string;
}

/**
 * Where snapshots outlive their nodes: segments by their content, manifests by shard, snapshot and node. A manifest is
 * written after all the segments it names, and says that they are there.
 *
 * Every operation may end with fault `archive-unavailable` (try again later), writing ones with `fenced` (another
 * process writes under this node's name).
 */
export interface Archive {
  /** Copies a segment in; `path` is the local file. Fault `data-corrupt` when that is damaged. */
  putObject(sha256: string, path: string): Promise<void>;
  /** Those of the segments that are not there, or with another size. */
  missing(segments: readonly SegmentFile[]): Promise<SegmentFile[]>;
  /** Copies a segment out, durably. Fault `data-corrupt`, naming the file, when it is missing or its content differs. */
  fetchObject(sha256: string, path: string): Promise<void>;
  /** Of this node. A shard that was frozen anew has other segments with the same rows. */
  putManifest(key: ArchiveKey, text: string): Promise<void>;
  /** The newest writer's. `undefined` when there is none. Fault `data-corrupt` when it cannot be read. */
  readManifest(key: ArchiveKey): Promise<FrozenShard | undefined>;
  /** Snapshots of which something of a shard is archived, by any node; unordered. */
  snapshots(shard: number): Promise<string[]>;
  /** Manifests of a shard of a snapshot, by node and then the newest writer's first. */
  replicas(shard: number, snapshot: string): Promise<ManifestName[]>;
  /** Removes this node's manifests; objects that nobody names any more are collected by others. */
  dropManifest(key: ArchiveKey): Promise<void>;
  /** Why this process may write nothing more of a shard, for people. */
  fenced(shard: number): string | undefined;
  /** Why the archive cannot be used now, for people. */
  trouble(): string | undefined;
}
