import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { checkedManifestOf } from "./checked-manifest.ts";
import type { Manifest } from "./manifest.ts";
import { readManifestText } from "./manifest-text.ts";
import { seedExists } from "./seed-path.ts";

/** Reads and checks a manifest file. Fault `invalid-manifest`: it cannot be read, or something in it is wrong. */
export async function loadManifest(path: string): Promise<Manifest> {
  const { parseManifest } = await import("./parse-manifest.ts");
  return parseManifest(await readManifestText(path), { file: path, seedExists, readSchema });
}

function readSchema(directory: string, file: string): Uint8Array {
  return readFileSync(resolve(directory, file));
}

/**
 * For those who load no seeds: the files may be on another machine. Takes a manifest that was checked before as well, and
 * then loads nothing that reads YAML or knows its schemas.
 */
export async function loadManifestWithoutSeeds(path: string): Promise<Manifest> {
  const text = await readManifestText(path);
  const checked = checkedManifestOf(text);
  if (checked !== undefined) return checked;
  const { parseManifest } = await import("./parse-manifest.ts");
  return parseManifest(text, { file: path, readSchema });
}
