import { fromJsonString, toJsonString } from "@bufbuild/protobuf";
import { Fault } from "../fault/fault.ts";
import { sha256Of } from "../process/file-digest.ts";
import { type ShardManifest, ShardManifestSchema } from "../wire/generated/skynetes/v1/seal_pb.ts";

/** A manifest with the digest of its file, which is what others name it by. */
export interface FrozenShard {
  readonly manifest: ShardManifest;
  readonly manifestSha256: string;
}

export function frozenShard(manifest: ShardManifest): FrozenShard {
  return { manifest, manifestSha256: sha256Of(manifestText(manifest)) };
}

/** The text of a manifest's file; equal manifests make equal texts. */
export function manifestText(manifest: ShardManifest): string {
  return toJsonString(ShardManifestSchema, manifest, { prettySpaces: 2 });
}

/** Fault `data-corrupt`, naming the file. */
export function parseManifest(text: string, path: string): FrozenShard {
  try {
    return { manifest: fromJsonString(ShardManifestSchema, text), manifestSha256: sha256Of(text) };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Fault("data-corrupt", `read manifest ${path}: ${reason}`, {}, error);
  }
}
