import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { Fault } from "../fault/fault.ts";

const NPM = "npm:";

/**
 * Where a seed's file is. `npm:vega-datasets/data/x.parquet` is found as Node finds packages, from the manifest's
 * directory upwards; packages may export only some of their files, so the package's directory is looked for and the
 * path taken below it. Fault `bad-input-file` when it is not there.
 */
export function seedPath(directory: string, file: string): string {
  const path = file.startsWith(NPM) ? packagePath(directory, file.slice(NPM.length)) : resolve(directory, file);
  if (path !== undefined && existsSync(path)) return path;
  const place = file.startsWith(NPM) ? "is its package installed" : `looked for ${path}`;
  throw new Fault("bad-input-file", `find seed ${JSON.stringify(file)}: no such file; ${place}`);
}

export function seedExists(directory: string, file: string): boolean {
  try {
    seedPath(directory, file);
    return true;
  } catch {
    return false;
  }
}

function packagePath(directory: string, specifier: string): string | undefined {
  const [, name, below] = /^((?:@[^/]+\/)?[^/]+)\/(.+)$/.exec(specifier) ?? [];
  if (name === undefined || below === undefined || below.split("/").includes("..")) return undefined;
  const candidates = createRequire(join(directory, "manifest.js")).resolve.paths(name) ?? [];
  return candidates.map((modules) => join(modules, name, below)).find((path) => existsSync(path));
}
