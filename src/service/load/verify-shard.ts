import { readFile } from "node:fs/promises";
import { isAbsolute, join } from "node:path";
import { fromJsonString } from "@bufbuild/protobuf";
import { Fault } from "../../fault/fault.ts";
import { sha256Of } from "../../process/file-digest.ts";
import { type ShardManifest, ShardManifestSchema } from "../../wire/generated/skynetes/v1/seal_pb.ts";

/** What a bind request says of the files; the kit believes none of it before it has looked. */
export interface ShardFiles {
  readonly mesh: string;
  readonly shard: number;
  readonly snapshot: string;
  readonly directory: string;
  readonly manifestSha256: string;
  readonly stateDigest: string;
  /** Snapshots that the state may be advanced from, the most alike first. */
  readonly advanceFrom: readonly { readonly snapshot: string; readonly manifestSha256: string }[];
}

/**
 * The shard's manifest, compared with the digest that the bind request names; the rows it speaks of are verified by their
 * `TableSource`. Fault `data-corrupt`, naming the file; `invalid-request`: the request itself makes no sense.
 */
export async function verifyManifest(files: ShardFiles): Promise<ShardManifest> {
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
  return manifest;
}

function parseManifest(path: string, bytes: Buffer): ShardManifest {
  try {
    return fromJsonString(ShardManifestSchema, bytes.toString("utf8"));
  } catch (error) {
    throw new Fault("data-corrupt", `${path}: not a shard manifest: ${(error as Error).message}`, {}, error);
  }
}

/** Of a file that cannot even be read. */
export function unreadable(path: string, error: unknown): Fault {
  const code = (error as NodeJS.ErrnoException).code ?? String(error);
  return new Fault("data-corrupt", `${path}: cannot be read (${code})`, {}, error);
}
