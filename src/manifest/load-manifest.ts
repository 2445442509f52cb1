import { readFile, stat } from "node:fs/promises";
import { Fault } from "../fault/fault.ts";
import type { Manifest } from "./manifest.ts";
import { parseManifest } from "./parse-manifest.ts";
import { MANIFEST_BYTES_MAX } from "./read-documents.ts";
import { seedExists } from "./seed-path.ts";

/**
 * Reads and checks a manifest file, with the text that it was made of. Fault `invalid-manifest`: it cannot be read, or
 * something in it is wrong.
 */
export async function loadManifest(path: string): Promise<{ readonly manifest: Manifest; readonly text: string }> {
  const text = await readText(path);
  return { manifest: parseManifest(text, { file: path, seedExists }), text };
}

/** For those who load no seeds: the files may be on another machine, or the manifest a copy elsewhere. */
export async function loadManifestWithoutSeeds(path: string): Promise<Manifest> {
  return parseManifest(await readText(path), { file: path });
}

async function readText(path: string): Promise<string> {
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
