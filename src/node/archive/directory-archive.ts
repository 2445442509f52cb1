import type { ArchiveFiles } from "../../archive/archive-files.ts";
import {
  DOOMED,
  epochDirectory,
  type ManifestName,
  manifestDirectory,
  manifestFile,
  manifestNames,
  objectPath,
  SHARDS,
} from "../../archive/archive-layout.ts";
import { crashPoint } from "../../process/crash-point.ts";
import type { SegmentFile } from "../../seal/segment-files.ts";
import { type FrozenShard, parseManifest } from "../frozen-shard.ts";
import type { Archive, ArchiveKey } from "./archive.ts";
import { WriterEpoch } from "./writer-epoch.ts";

export interface DirectoryArchiveParts {
  readonly files: ArchiveFiles;
  readonly node: string;
  /** This process's alone. */
  readonly instance: string;
  /** Why the directory cannot be used now. */
  readonly trouble: () => string | undefined;
}

/** The archive on a mounted directory, laid out as `archive-layout.ts` says. Opening it touches nothing. */
export class DirectoryArchive implements Archive {
  readonly #files: ArchiveFiles;
  readonly #parts: DirectoryArchiveParts;
  /** By shard: a placement is what is written for by one process, so replicas do not fence one another. */
  readonly #epochs = new Map<number, WriterEpoch>();

  constructor(parts: DirectoryArchiveParts) {
    this.#files = parts.files;
    this.#parts = parts;
  }

  async putObject(sha256: string, path: string): Promise<void> {
    await this.#files.copyIn(path, objectPath(sha256), sha256);
    crashPoint("object-archived");
  }

  async missing(segments: readonly SegmentFile[]): Promise<SegmentFile[]> {
    const wanted = segments.map(({ sha256, bytes }) => ({ path: objectPath(sha256), bytes }));
    const missing = new Set(wanted.length === 0 ? [] : await this.#files.missing(wanted));
    return segments.filter(({ sha256 }) => missing.has(objectPath(sha256)));
  }

  async fetchObject(sha256: string, path: string): Promise<void> {
    const object = objectPath(sha256);
    await this.#files.copyOut([object, object + DOOMED], path, sha256);
    crashPoint("object-fetched");
  }

  async putManifest(key: ArchiveKey, text: string): Promise<void> {
    const writer = this.#epoch(key.shard);
    const epoch = await writer.check();
    crashPoint("epoch-claimed");
    const path = pathOf(key, { node: key.node, epoch });
    await this.#files.writeText(path, text);
    crashPoint("manifest-archived");
    try {
      await writer.check();
    } catch (error) {
      // Whoever has taken over may have dropped the snapshot meanwhile; this name is this writer's alone.
      if (writer.fenced !== undefined) await this.#files.remove(path).catch(() => {});
      throw error;
    }
  }

  async readManifest(key: ArchiveKey): Promise<FrozenShard | undefined> {
    const newest = (await this.replicas(key.shard, key.snapshot)).find(({ node }) => node === key.node);
    if (newest === undefined) return undefined;
    const path = pathOf(key, newest);
    const text = await this.#files.readText(path);
    return text === undefined ? undefined : parseManifest(text, path);
  }

  async snapshots(shard: number): Promise<string[]> {
    return this.#files.list(`${SHARDS}/${shard}`);
  }

  async replicas(shard: number, snapshot: string): Promise<ManifestName[]> {
    return manifestNames(await this.#files.list(manifestDirectory(shard, snapshot)));
  }

  /** A retired snapshot's id is never given again, so even a fenced writer that comes late removes nothing of use. */
  async dropManifest(key: ArchiveKey): Promise<void> {
    const epoch = await this.#epoch(key.shard).check();
    const replicas = await this.replicas(key.shard, key.snapshot);
    for (const name of replicas) {
      if (name.node === key.node && name.epoch <= epoch) await this.#files.remove(pathOf(key, name));
    }
    await this.#files.remove(manifestDirectory(key.shard, key.snapshot));
    crashPoint("manifest-dropped");
  }

  fenced(shard: number): string | undefined {
    return this.#epochs.get(shard)?.fenced?.message;
  }

  trouble(): string | undefined {
    return this.#parts.trouble();
  }

  #epoch(shard: number): WriterEpoch {
    const known = this.#epochs.get(shard);
    if (known !== undefined) return known;
    const { files, node, instance } = this.#parts;
    const epoch = new WriterEpoch(files, epochDirectory(shard, node), instance);
    this.#epochs.set(shard, epoch);
    return epoch;
  }
}

function pathOf({ shard, snapshot }: ArchiveKey, name: ManifestName): string {
  return `${manifestDirectory(shard, snapshot)}/${manifestFile(name)}`;
}
