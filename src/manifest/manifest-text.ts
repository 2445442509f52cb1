import { readFile, stat } from "node:fs/promises";
import { Fault } from "../fault/fault.ts";

export const MANIFEST_BYTES_MAX = 1024 * 1024;

/** The text of a manifest's file. Fault `invalid-manifest`: it cannot be read, is no UTF-8 or too large. */
export async function readManifestText(path: string): Promise<string> {
  try {
    // Asked before reading: the path may lead to anything.
    const { size } = await stat(path);
    if (size > MANIFEST_BYTES_MAX) {
      throw new Fault("invalid-manifest", `read manifest ${path}: larger than ${MANIFEST_BYTES_MAX} bytes`);
    }
    return new TextDecoder("utf-8", { fatal: true }).decode(await readFile(path));
  } catch (error) {
    if (error instanceof Fault) throw error;
    throw new Fault("invalid-manifest", `read manifest ${path}: ${(error as Error).message}`, {}, error);
  }
}
