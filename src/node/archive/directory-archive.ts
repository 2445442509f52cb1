import { constants } from "node:fs";
import { copyFile, readdir, readFile, rename, rm, rmdir, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Fault } from "../../fault/fault.ts";
import { crashPoint } from "../../process/crash-point.ts";
import {
  isTemporaryName,
  makeDurableDirectory,
  renameDurably,
  syncFile,
  temporaryName,
  writeDurableFile,
} from "../../process/durable-file.ts";
import { sha256OfFile } from "../../process/file-digest.ts";
import { type FrozenShard, parseManifest, segmentsOf } from "../frozen-shard.ts";
import type { Archive, ArchiveKey } from "./archive.ts";

const MANIFEST = ".manifest.json";
/** An object set aside while it is found out whether anybody still names it. */
const DOOMED = ".doomed";

/** The archive on a mounted directory: `objects/<sha256>` and `shards/<shard>/<snapshot>/<node>.manifest.json`. */
export class DirectoryArchive implements Archive {
  readonly #path: string;
  /** Who writes here: a mark in the names of files that are not whole yet. */
  readonly #node: string;

  private constructor(path: string, node: string) {
    this.#path = path;
    this.#node = node;
  }

  /** `node` is the one process of its name. Removes what it left when it died, and nothing of others who write now. */
  static async open(path: string, node: string): Promise<DirectoryArchive> {
    await makeDurableDirectory(join(path, "objects"));
    await makeDurableDirectory(join(path, "shards"));
    // Set aside by a node that died before it knew whether the object is still named: it stays.
    for (const name of await readdir(join(path, "objects"))) {
      if (isTemporaryName(name) && name.includes(`${markOf(node)}.`))
        await rm(join(path, "objects", name), { force: true });
      if (!name.endsWith(DOOMED)) continue;
      const aside = join(path, "objects", name);
      await rename(aside, aside.slice(0, -DOOMED.length)).catch(notThere);
    }
    return new DirectoryArchive(path, node);
  }

  async putObject(sha256: string, bytes: bigint, path: string): Promise<void> {
    if (await this.hasObject(sha256, bytes)) return;
    const object = this.#object(sha256);
    await copyVerified(path, object, sha256, temporaryName(object + markOf(this.#node)));
    crashPoint("object-archived");
  }

  async hasObject(sha256: string, bytes: bigint): Promise<boolean> {
    const found = await stat(this.#object(sha256)).catch(notThere);
    return found !== undefined && BigInt(found.size) === bytes;
  }

  fetchObject(sha256: string, path: string): Promise<void> {
    return copyVerified(this.#object(sha256), path, sha256, temporaryName(path));
  }

  async putManifest(key: ArchiveKey, text: string): Promise<void> {
    const path = this.#manifest(key);
    await makeDurableDirectory(dirname(path));
    await writeDurableFile(path, text);
    crashPoint("manifest-archived");
  }

  async readManifest(key: ArchiveKey): Promise<FrozenShard | undefined> {
    const path = this.#manifest(key);
    const text = await readFile(path, "utf8").catch(notThere);
    return text === undefined ? undefined : parseManifest(text, path);
  }

  async replicas(shard: number, snapshot: string): Promise<string[]> {
    const names = (await readdir(join(this.#path, "shards", String(shard), snapshot)).catch(notThere)) ?? [];
    return names
      .filter((name) => name.endsWith(MANIFEST))
      .map((name) => name.slice(0, -MANIFEST.length))
      .sort();
  }

  /**
   * Another node may be archiving a segment of equal content at this moment: it saw the object, did not copy it and is
   * about to write its manifest. So an object is first set aside and the manifests are read after that, while the other
   * writes its manifest first and looks for its objects after that (`archiveShard`): one of the two sees the other.
   */
  async dropManifest(key: ArchiveKey): Promise<void> {
    const dropped = await this.readManifest(key).catch(() => undefined);
    await rm(this.#manifest(key), { force: true });
    await rmdir(dirname(this.#manifest(key))).catch(stillNeeded);
    const aside: string[] = [];
    try {
      for (const { sha256 } of dropped === undefined ? [] : segmentsOf(dropped.manifest)) {
        const object = this.#object(sha256);
        const moved = await rename(object, object + DOOMED).then(() => true, notThere);
        if (moved === true) aside.push(sha256);
      }
      const named = aside.length === 0 ? new Set<string>() : await this.#named();
      // Nobody knows what a manifest names that cannot be read, so everything stays until it is mended or dropped.
      for (const sha256 of aside)
        if (named?.has(sha256) === false) await rm(this.#object(sha256) + DOOMED, { force: true });
    } finally {
      for (const sha256 of aside) {
        await renameDurably(this.#object(sha256) + DOOMED, this.#object(sha256)).catch(notThere);
      }
    }
  }

  /** Every object that some manifest names; `undefined` when one of them cannot be read. */
  async #named(): Promise<Set<string> | undefined> {
    const named = new Set<string>();
    const root = join(this.#path, "shards");
    for (const name of await readdir(root, { recursive: true })) {
      if (!name.endsWith(MANIFEST) || isTemporaryName(name)) continue;
      const text = await readFile(join(root, name), "utf8").catch(notThere);
      if (text === undefined) continue;
      const manifest = parsed(text, join(root, name));
      if (manifest === undefined) return undefined;
      for (const { sha256 } of segmentsOf(manifest.manifest)) named.add(sha256);
    }
    return named;
  }

  #object(sha256: string): string {
    return join(this.#path, "objects", sha256);
  }

  #manifest({ shard, snapshot, node }: ArchiveKey): string {
    return join(this.#path, "shards", String(shard), snapshot, `${node}${MANIFEST}`);
  }
}

/** In the name of a copy under way, after the digest. */
function markOf(node: string): string {
  return `.by-${node}`;
}

/** Copies, compares the copy's digest with the name it is to have, and only then gives it that name. */
async function copyVerified(from: string, to: string, sha256: string, temporary: string): Promise<void> {
  try {
    // A file system that can share the blocks of both files does so.
    await copyFile(from, temporary, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE).catch(
      (error: NodeJS.ErrnoException) => {
        if (error.code !== "ENOENT") throw error;
        throw new Fault("data-corrupt", `copy ${from}: the file is missing`, {}, error);
      },
    );
    const found = await sha256OfFile(temporary);
    if (found !== sha256) throw new Fault("data-corrupt", `copy ${from}: its sha-256 is ${found}, not ${sha256}`);
    await syncFile(temporary);
    await renameDurably(temporary, to);
  } finally {
    await rm(temporary, { force: true });
  }
}

function parsed(text: string, path: string): FrozenShard | undefined {
  try {
    return parseManifest(text, path);
  } catch (error) {
    if (error instanceof Fault && error.id === "data-corrupt") return undefined;
    throw error;
  }
}

/** Another node's copy is in it, or it is gone already. */
function stillNeeded(error: NodeJS.ErrnoException): void {
  if (error.code !== "ENOTEMPTY" && error.code !== "ENOENT") throw error;
}

function notThere(error: NodeJS.ErrnoException): undefined {
  if (error.code !== "ENOENT") throw error;
  return undefined;
}
