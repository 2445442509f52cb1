import { readFile, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fromJsonString, toJsonString } from "@bufbuild/protobuf";
import { Fault } from "../fault/fault.ts";
import { makeDurableDirectory, syncDirectory, writeDurableFile } from "../process/durable-file.ts";
import { sha256Of } from "../process/file-digest.ts";
import { type Seal, SealSchema } from "../wire/generated/skynetes/v1/seal_pb.ts";

/** `<archive>/snapshots/<id>.seal.json`: a snapshot exists from the moment this file does. */
export function sealPath(archiveDirectory: string, snapshot: string): string {
  return join(archiveDirectory, "snapshots", `${snapshot}.seal.json`);
}

/** Makes the seal durable; returns the SHA-256 of its file, by which route tables name it. */
export async function writeSeal(archiveDirectory: string, seal: Seal): Promise<string> {
  const path = sealPath(archiveDirectory, seal.snapshot);
  const text = toJsonString(SealSchema, seal, { prettySpaces: 2 });
  await makeDurableDirectory(dirname(path));
  await writeDurableFile(path, text);
  return sha256Of(text);
}

/**
 * The seal and its file's digest; `undefined` when there is none. With `expectedSha256` any other content is refused.
 * Fault `data-corrupt`, naming the file.
 */
export async function readSeal(
  archiveDirectory: string,
  snapshot: string,
  expectedSha256?: string,
): Promise<{ readonly seal: Seal; readonly sha256: string } | undefined> {
  const path = sealPath(archiveDirectory, snapshot);
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
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

export async function removeSeal(archiveDirectory: string, snapshot: string): Promise<void> {
  const path = sealPath(archiveDirectory, snapshot);
  await rm(path, { force: true });
  await syncDirectory(dirname(path)).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "ENOENT") throw error;
  });
}
