import { readFile } from "node:fs/promises";
import { isAbsolute, join } from "node:path";
import { fromJsonString } from "@bufbuild/protobuf";
import { Fault } from "../../fault/fault.ts";
import { sha256Of, sha256OfFile } from "../../process/file-digest.ts";
import { type ShardManifest, ShardManifestSchema } from "../../wire/generated/skynetes/v1/seal_pb.ts";

/** What a bind request says of the files; the kit believes none of it before it has looked. */
export interface ShardFiles {
  readonly mesh: string;
  readonly shard: number;
  readonly snapshot: string;
  readonly directory: string;
  readonly manifestSha256: string;
  readonly stateDigest: string;
}

/** A shard whose manifest and segment files have the digests they should. */
export interface VerifiedShard {
  readonly manifest: ShardManifest;
  segmentPath(sha256: string): string;
}

const SHA256 = /^[0-9a-f]{64}$/;

/**
 * Reads the manifest and every segment once and compares digests. A Parquet or DuckDB file with a flipped bit can still
 * open and count its rows, so nothing is read from a file before its checksum is right.
 * Fault `data-corrupt`, naming the file; `invalid-request`: the request itself makes no sense.
 */
export async function verifyShard(files: ShardFiles): Promise<VerifiedShard> {
  if (!isAbsolute(files.directory)) {
    throw new Fault("invalid-request", `bind: directory "${files.directory}" is not an absolute path`);
  }
  const manifestPath = join(files.directory, "snapshots", files.snapshot, "manifest.json");
  const bytes = await readFile(manifestPath).catch((error: unknown) => {
    throw unreadable(manifestPath, error);
  });
  const actual = sha256Of(bytes);
  if (actual !== files.manifestSha256) {
    throw new Fault("data-corrupt", `${manifestPath}: sha-256 is ${actual}, expected ${files.manifestSha256}`);
  }
  const manifest = parseManifest(manifestPath, bytes);
  for (const part of ["mesh", "shard", "snapshot", "stateDigest"] as const) {
    if (manifest[part] !== files[part]) {
      throw new Fault("data-corrupt", `${manifestPath}: ${part} is ${manifest[part]}, expected ${files[part]}`);
    }
  }
  const segmentPath = (sha256: string) => join(files.directory, "segments", `${sha256}.parquet`);
  const segments = manifest.tables.flatMap((table) => table.segments);
  const removals = segments.flatMap((segment) => segment.removals ?? []);
  for (const sha256 of new Set([...segments, ...removals].map((file) => file.sha256))) {
    // A name that is no digest could also be a path to somewhere else.
    if (!SHA256.test(sha256)) throw new Fault("data-corrupt", `${manifestPath}: "${sha256}" is not a sha-256`);
    await verifySegment(segmentPath(sha256), sha256);
  }
  return { manifest, segmentPath };
}

function parseManifest(path: string, bytes: Buffer): ShardManifest {
  try {
    return fromJsonString(ShardManifestSchema, bytes.toString("utf8"));
  } catch (error) {
    throw new Fault("data-corrupt", `${path}: not a shard manifest: ${(error as Error).message}`, {}, error);
  }
}

async function verifySegment(path: string, expected: string): Promise<void> {
  const actual = await sha256OfFile(path).catch((error: unknown) => {
    throw unreadable(path, error);
  });
  if (actual !== expected) throw new Fault("data-corrupt", `${path}: sha-256 is ${actual}, expected ${expected}`);
}

function unreadable(path: string, error: unknown): Fault {
  const code = (error as NodeJS.ErrnoException).code ?? String(error);
  return new Fault("data-corrupt", `${path}: cannot be read (${code})`, {}, error);
}
