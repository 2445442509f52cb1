/**
 * Reads a whole archive, or a part of it, and tells what is not as it was written. It writes nothing. Memory grows with
 * the number of objects (their names), not with their size: each is read once, whoever names it.
 */
import { fromJsonString } from "@bufbuild/protobuf";
import type { ArchiveFiles } from "../archive/archive-files.ts";
import {
  manifestDirectory,
  manifestFile,
  manifestNames,
  OBJECTS,
  objectPath,
  SEALS,
  SHARDS,
  sealedSnapshot,
  sealFile,
} from "../archive/archive-layout.ts";
import { Fault } from "../fault/fault.ts";
import { sha256Of } from "../process/file-digest.ts";
import { type ShardManifest, ShardManifestSchema } from "../wire/generated/skynetes/v1/seal_pb.ts";
import { readSeal } from "./seal-file.ts";
import { segmentsOf } from "./segment-files.ts";

export interface VerifyRequest {
  readonly files: ArchiveFiles;
  readonly shard?: number | undefined;
  readonly snapshot?: string | undefined;
  readonly onFinding: (finding: ArchiveFinding) => void;
  /** After each object. */
  readonly onProgress?: (counts: ArchiveCounts) => void;
}

export interface ArchiveFinding {
  /** Orphaned is what nobody names: no damage, and collected in time. Everything else is. */
  readonly kind: "missing" | "damaged" | "orphaned";
  readonly path: string;
  readonly detail: string;
}

export interface ArchiveCounts {
  seals: number;
  manifests: number;
  objects: number;
  bytes: bigint;
  missing: number;
  damaged: number;
  orphaned: number;
}

/** Fault `archive-unavailable` when the archive cannot be read: then nothing is said of the rest. */
export function verifyArchive(request: VerifyRequest): Promise<ArchiveCounts> {
  return new Verification(request).run();
}

class Verification {
  readonly #request: VerifyRequest;
  readonly #files: ArchiveFiles;
  readonly #counts: ArchiveCounts = {
    seals: 0,
    manifests: 0,
    objects: 0,
    bytes: 0n,
    missing: 0,
    damaged: 0,
    orphaned: 0,
  };
  /** Objects that were named, each read when it was first. */
  readonly #named = new Set<string>();

  constructor(request: VerifyRequest) {
    this.#request = request;
    this.#files = request.files;
  }

  async run(): Promise<ArchiveCounts> {
    const { shard, snapshot } = this.#request;
    // Listed first, so that what is archived meanwhile is no orphan.
    const objects = await this.#files.list(OBJECTS);
    for (const file of await this.#files.list(SEALS)) {
      const sealed = sealedSnapshot(file);
      if (sealed !== undefined && (snapshot ?? sealed) === sealed) await this.#seal(sealed);
    }
    for (const name of await this.#files.list(SHARDS)) {
      if (Number(name) !== (shard ?? Number(name))) continue;
      for (const frozen of await this.#files.list(`${SHARDS}/${name}`)) {
        if ((snapshot ?? frozen) === frozen) await this.#manifests(Number(name), frozen);
      }
    }
    if (shard === undefined && snapshot === undefined) {
      for (const object of objects) {
        if (!this.#named.has(object)) this.#found("orphaned", objectPath(object), "no manifest names it");
      }
    }
    return this.#counts;
  }

  async #seal(snapshot: string): Promise<void> {
    this.#counts.seals += 1;
    const path = sealFile(snapshot);
    try {
      const found = await readSeal(this.#files, snapshot);
      for (const { shard, replicas } of found?.seal.shardSeals ?? []) {
        if (shard !== (this.#request.shard ?? shard)) continue;
        for (const { node, sha256 } of replicas) await this.#sealedManifest(shard, snapshot, node, sha256);
      }
    } catch (error) {
      this.#damagedBy(error, path);
    }
  }

  async #sealedManifest(shard: number, snapshot: string, node: string, sha256: string): Promise<void> {
    const directory = manifestDirectory(shard, snapshot);
    const names = manifestNames(await this.#files.list(directory)).filter((name) => name.node === node);
    for (const name of names) {
      const text = await this.#files.readText(`${directory}/${manifestFile(name)}`);
      if (text !== undefined && sha256Of(text) === sha256) return;
    }
    this.#found("missing", `${directory}/${node}.*`, `the seal names a manifest of sha-256 ${sha256}`);
  }

  async #manifests(shard: number, snapshot: string): Promise<void> {
    const directory = manifestDirectory(shard, snapshot);
    for (const name of manifestNames(await this.#files.list(directory))) {
      const path = `${directory}/${manifestFile(name)}`;
      const text = await this.#files.readText(path);
      if (text === undefined) continue;
      this.#counts.manifests += 1;
      let manifest: ShardManifest;
      try {
        manifest = fromJsonString(ShardManifestSchema, text);
      } catch (error) {
        this.#found("damaged", path, (error as Error).message);
        continue;
      }
      if (manifest.shard !== shard || manifest.snapshot !== snapshot) {
        this.#found("damaged", path, `it is of shard ${manifest.shard} of "${manifest.snapshot}"`);
      }
      for (const { sha256, bytes } of segmentsOf(manifest)) await this.#object(sha256, bytes, path);
    }
  }

  async #object(sha256: string, bytes: bigint, namedBy: string): Promise<void> {
    if (this.#named.has(sha256)) return;
    this.#named.add(sha256);
    const path = objectPath(sha256);
    const there = await this.#files.digest(path);
    if (there === undefined) return this.#found("missing", path, `${namedBy} names it`);
    this.#counts.objects += 1;
    this.#counts.bytes += there.bytes;
    if (there.bytes !== bytes) this.#found("damaged", path, `it has ${there.bytes} bytes, ${namedBy} says ${bytes}`);
    else if (there.sha256 !== sha256) this.#found("damaged", path, `its sha-256 is ${there.sha256}`);
    this.#request.onProgress?.(this.#counts);
  }

  #damagedBy(error: unknown, path: string): void {
    if (!(error instanceof Fault) || error.id !== "data-corrupt") throw error;
    this.#found("damaged", path, error.message);
  }

  #found(kind: ArchiveFinding["kind"], path: string, detail: string): void {
    this.#counts[kind] += 1;
    this.#request.onFinding({ kind, path, detail });
  }
}
