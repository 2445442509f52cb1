import { mkdir, readdir, readFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { Fault } from "../../fault/fault.ts";
import { crashPoint } from "../../process/crash-point.ts";
import {
  isTemporaryName,
  makeDurableDirectory,
  renameDurably,
  syncDirectory,
  syncFile,
  temporaryName,
  writeDurableFile,
} from "../../process/durable-file.ts";
import { sha256OfFile } from "../../process/file-digest.ts";
import { KnownDigests } from "../../process/known-digests.ts";
import { type SegmentFile, segmentsOf } from "../../seal/segment-files.ts";
import type { ShardManifest } from "../../wire/generated/skynetes/v1/seal_pb.ts";
import { type FrozenShard, parseManifest } from "../frozen-shard.ts";

/**
 * The directory of one shard on one node; services read it, so its layout is a contract:
 * `ingest.duckdb`, `segments/<sha256>.parquet`, `snapshots/<id>/manifest.json`.
 *
 * Segments are named by their content and never change; a manifest is written after all its segments are durable. So
 * whatever a crash leaves is a whole snapshot or none.
 */
export class ShardDirectory {
  readonly path: string;
  readonly #digests = new KnownDigests();

  private constructor(path: string) {
    this.path = path;
  }

  /** Creates what is missing and removes what a writer that died left. */
  static async open(path: string): Promise<ShardDirectory> {
    const directory = new ShardDirectory(path);
    for (const name of ["segments", "snapshots"]) await makeDurableDirectory(join(path, name));
    await rm(directory.temporaryDirectory, { recursive: true, force: true });
    await mkdir(directory.temporaryDirectory);
    await removeTemporary(join(path, "segments"));
    for (const id of await directory.snapshots()) await removeTemporary(join(path, "snapshots", id));
    return directory;
  }

  get database(): string {
    return join(this.path, "ingest.duckdb");
  }

  /** Where the store may spill; emptied at each start. */
  get temporaryDirectory(): string {
    return join(this.path, "spill");
  }

  segmentPath(sha256: string): string {
    return join(this.path, "segments", `${sha256}.parquet`);
  }

  manifestPath(snapshot: string): string {
    return join(this.path, "snapshots", snapshot, "manifest.json");
  }

  /** Ids of directories there are, with a manifest or without. */
  snapshots(): Promise<string[]> {
    return readdir(join(this.path, "snapshots"));
  }

  /** A path for a segment that has no name yet. */
  newSegmentPath(): string {
    return temporaryName(join(this.path, "segments", "new.parquet"));
  }

  /** Makes a written segment durable under the name of its content. */
  async adoptSegment(temporary: string): Promise<{ sha256: string; bytes: bigint }> {
    await syncFile(temporary);
    const sha256 = await sha256OfFile(temporary);
    const { size } = await stat(temporary);
    crashPoint("segment-written");
    // Replaces an equal file, which may even be damaged; readers that have it open keep what they opened.
    await renameDurably(temporary, this.segmentPath(sha256));
    crashPoint("segment-renamed");
    return { sha256, bytes: BigInt(size) };
  }

  async writeManifest(snapshot: string, text: string): Promise<void> {
    await makeDurableDirectory(join(this.path, "snapshots", snapshot));
    await writeDurableFile(this.manifestPath(snapshot), text, () => crashPoint("manifest-synced"));
    crashPoint("manifest-renamed");
  }

  /** `undefined` when there is none. Fault `data-corrupt` when it cannot be read. */
  async readManifest(snapshot: string): Promise<FrozenShard | undefined> {
    const path = this.manifestPath(snapshot);
    const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return undefined;
      throw error;
    });
    return text === undefined ? undefined : parseManifest(text, path);
  }

  /** Fault `data-corrupt`, naming the file, when a segment is missing or has another size: cheap, so done at every start. */
  async checkSize(segment: SegmentFile): Promise<void> {
    const path = this.segmentPath(segment.sha256);
    const found = await stat(path).catch(() => undefined);
    if (found === undefined) throw new Fault("data-corrupt", `read segment ${path}: the file is missing`);
    if (BigInt(found.size) !== segment.bytes) {
      throw new Fault("data-corrupt", `read segment ${path}: it has ${found.size} bytes, not ${segment.bytes}`);
    }
  }

  /** Fault `data-corrupt`, naming the file, when a byte differs: reads it all, unless this process has read this very file. */
  async checkContent(segment: SegmentFile): Promise<void> {
    await this.checkSize(segment);
    const path = this.segmentPath(segment.sha256);
    const sha256 = await this.#digests.sha256(path);
    if (sha256 !== segment.sha256) {
      throw new Fault("data-corrupt", `read segment ${path}: its sha-256 is ${sha256}, not ${segment.sha256}`);
    }
  }

  /** True when the segment is here with the bytes that its name says. */
  async isSound(segment: SegmentFile): Promise<boolean> {
    try {
      await this.checkContent(segment);
      return true;
    } catch (error) {
      if (error instanceof Fault && error.id === "data-corrupt") return false;
      throw error;
    }
  }

  async removeSegment(sha256: string): Promise<void> {
    await rm(this.segmentPath(sha256), { force: true });
  }

  /** Removes a snapshot: the manifest first, since without it there is no snapshot. */
  async removeSnapshot(snapshot: string): Promise<void> {
    await rm(this.manifestPath(snapshot), { force: true });
    await rm(join(this.path, "snapshots", snapshot), { recursive: true, force: true });
    await syncDirectory(join(this.path, "snapshots"));
    crashPoint("snapshot-dropped");
  }

  /** Removes segments that none of the manifests names. */
  async removeOrphans(manifests: Iterable<ShardManifest>): Promise<void> {
    const named = new Set([...manifests].flatMap(segmentsOf).map((segment) => `${segment.sha256}.parquet`));
    const directory = join(this.path, "segments");
    for (const name of await readdir(directory)) {
      if (!named.has(name)) await rm(join(directory, name), { force: true });
    }
  }
}

async function removeTemporary(directory: string): Promise<void> {
  for (const name of await readdir(directory)) {
    if (isTemporaryName(name)) await rm(join(directory, name), { force: true });
  }
}
