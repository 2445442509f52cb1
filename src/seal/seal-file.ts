import { fromJsonString, toJsonString } from "@bufbuild/protobuf";
import type { ArchiveFiles } from "../archive/archive-files.ts";
import { sealFile } from "../archive/archive-layout.ts";
import { Fault } from "../fault/fault.ts";
import { crashPoint } from "../process/crash-point.ts";
import { sha256Of } from "../process/file-digest.ts";
import { type Seal, SealSchema } from "../wire/generated/skynetes/v1/seal_pb.ts";

/** A snapshot exists from the moment its seal's file does. All of these may end with fault `archive-unavailable`. */

/** Makes the seal durable; returns the SHA-256 of its file, by which route tables name it. */
export async function writeSeal(files: ArchiveFiles, seal: Seal): Promise<string> {
  const text = toJsonString(SealSchema, seal, { prettySpaces: 2 });
  await files.writeText(sealFile(seal.snapshot), text);
  crashPoint("seal-written");
  return sha256Of(text);
}

/**
 * The seal and its file's digest; `undefined` when there is none. With `expectedSha256` any other content is refused.
 * Fault `data-corrupt`, naming the file.
 */
export async function readSeal(
  files: ArchiveFiles,
  snapshot: string,
  expectedSha256?: string,
): Promise<{ readonly seal: Seal; readonly sha256: string } | undefined> {
  const path = sealFile(snapshot);
  const text = await files.readText(path);
  if (text === undefined) return undefined;
  const sha256 = sha256Of(text);
  if (expectedSha256 !== undefined && sha256 !== expectedSha256) {
    throw new Fault("data-corrupt", `read seal ${path}: its sha-256 is ${sha256}, not ${expectedSha256}`);
  }
  try {
    return { seal: fromJsonString(SealSchema, text), sha256 };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Fault("data-corrupt", `read seal ${path}: ${reason}`, {}, error);
  }
}

export async function removeSeal(files: ArchiveFiles, snapshot: string): Promise<void> {
  await files.remove(sealFile(snapshot));
  crashPoint("seal-removed");
}
