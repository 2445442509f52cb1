/**
 * The operations on an archive directory, carried out in this process: by the archive process for others, and by who
 * may hang without harm.
 *
 * Nothing here relies on exclusive creation, links, locks or the answer to a rename: over a network an answer may be
 * lost after the deed. So files get names that nobody else uses, are synced, renamed and read back, and whoever is told
 * that something failed looks whether it happened.
 */
import { createHash, type Hash } from "node:crypto";
import { dirname, join } from "node:path";
import { Fault } from "../fault/fault.ts";
import { isTemporaryName, temporaryName } from "../process/durable-file.ts";
import { sha256Of } from "../process/file-digest.ts";
import type { ArchiveFiles, FileFacts, NamedBytes } from "./archive-files.ts";
import { diskLayer, type FileLayer } from "./file-layer.ts";

const PIECE_BYTES = 1 << 20;
/** A stale handle is of a path that was looked up before the server changed: a new look finds the new one. */
const STALE_TRIES = 3;

/** `onProgress` is called after every piece of a long operation. */
export function directFiles(root: string, layer: FileLayer = diskLayer, onProgress = () => {}): ArchiveFiles {
  const files = new DirectFiles(root, layer, onProgress);
  return {
    readText: (path) => attempt(`read ${files.at(path)}`, () => files.readText(path)),
    writeText: (path, text) => attempt(`write ${files.at(path)}`, () => files.writeText(path, text)),
    copyIn: (local, path, sha256) =>
      attempt(`copy ${local} to ${files.at(path)}`, () => files.copyIn(local, path, sha256)),
    copyOut: (paths, local, sha256) =>
      attempt(`copy ${files.at(paths[0] ?? "")} to ${local}`, () => files.copyOut(paths, local, sha256)),
    missing: (wanted) => attempt(`look for ${wanted.length} files in ${root}`, () => files.missing(wanted)),
    list: (directory) => attempt(`list ${files.at(directory)}`, () => files.list(directory)),
    digest: (path) => attempt(`read ${files.at(path)}`, () => files.digest(path)),
    remove: (path) => attempt(`remove ${files.at(path)}`, () => files.remove(path)),
    rename: (from, to) => attempt(`rename ${files.at(from)} to ${files.at(to)}`, () => files.rename(from, to)),
  };
}

/** What the file system throws is a fault of the archive; a stale handle is tried again with a new one. */
async function attempt<T>(what: string, work: () => Promise<T>): Promise<T> {
  for (let tried = 1; ; tried++) {
    try {
      return await work();
    } catch (error) {
      if (error instanceof Fault) throw error;
      if (codeOf(error) === "ESTALE" && tried < STALE_TRIES) continue;
      throw new Fault("archive-unavailable", `${what}: ${(error as Error).message}`, {}, error);
    }
  }
}

class DirectFiles {
  readonly #root: string;
  readonly #layer: FileLayer;
  readonly #onProgress: () => void;

  constructor(root: string, layer: FileLayer, onProgress: () => void) {
    this.#root = root;
    this.#layer = layer;
    this.#onProgress = onProgress;
  }

  at(path: string): string {
    return join(this.#root, path);
  }

  async readText(path: string): Promise<string | undefined> {
    const pieces: Uint8Array[] = [];
    const found = await unlessGone(this.#eachPiece(this.at(path), (piece) => void pieces.push(piece.slice())));
    return found === undefined ? undefined : Buffer.concat(pieces).toString("utf8");
  }

  async writeText(path: string, text: string): Promise<void> {
    const to = this.at(path);
    const temporary = temporaryName(to);
    await this.#layer.makeDirectory(dirname(to));
    try {
      await this.#write(temporary, async (write) => write(Buffer.from(text)));
      await this.#rename(temporary, to, sha256Of(text));
    } catch (error) {
      await this.#discard(temporary);
      throw error;
    }
  }

  async copyIn(local: string, path: string, sha256: string): Promise<void> {
    const to = this.at(path);
    const temporary = temporaryName(to);
    await this.#layer.makeDirectory(dirname(to));
    try {
      await this.#copy(local, temporary);
      await this.#checkCopy(temporary, local, sha256);
      await this.#rename(temporary, to, sha256);
    } catch (error) {
      await this.#discard(temporary);
      throw error;
    }
  }

  async copyOut(paths: readonly string[], local: string, sha256: string): Promise<void> {
    const temporary = temporaryName(local);
    try {
      const from = await this.#copyFirst(paths, temporary);
      await this.#checkCopy(temporary, from, sha256);
      await this.#rename(temporary, local, sha256);
    } catch (error) {
      await this.#discard(temporary);
      throw error;
    }
  }

  async missing(wanted: readonly NamedBytes[]): Promise<string[]> {
    const sizes = await Promise.all(wanted.map(({ path }) => unlessGone(this.#layer.size(this.at(path)))));
    this.#onProgress();
    return wanted.filter(({ bytes }, i) => sizes[i] !== bytes).map(({ path }) => path);
  }

  async list(directory: string): Promise<string[]> {
    return (await unlessGone(this.#layer.list(this.at(directory)))) ?? [];
  }

  async digest(path: string): Promise<FileFacts | undefined> {
    return unlessGone(this.#digest(this.at(path)));
  }

  async remove(path: string): Promise<void> {
    const at = this.at(path);
    try {
      await unlessGone(this.#layer.removeFile(at));
    } catch (error) {
      // Node.js says ERR_FS_EISDIR, a file system EISDIR or EPERM.
      const code = codeOf(error) ?? "";
      if (!code.includes("EISDIR") && code !== "EPERM") throw error;
      await unlessGone(this.#layer.removeDirectory(at)).catch((failed: unknown) => {
        if (codeOf(failed) !== "ENOTEMPTY" && codeOf(failed) !== "EEXIST") throw failed;
      });
    }
    await unlessGone(this.#syncDirectory(dirname(at)));
  }

  async rename(from: string, to: string): Promise<boolean> {
    try {
      await this.#layer.rename(this.at(from), this.at(to));
    } catch (error) {
      if (codeOf(error) !== "ENOENT") throw error;
      // The answer to the rename may have been lost, and this is the answer to its repetition.
      if ((await unlessGone(this.#layer.size(this.at(to)))) === undefined) return false;
    }
    await this.#syncDirectory(dirname(this.at(to)));
    return true;
  }

  /** The temporary name is nobody else's: when it is gone, it was this rename that took it, and the target tells. */
  async #rename(temporary: string, to: string, sha256: string): Promise<void> {
    try {
      await this.#layer.rename(temporary, to);
    } catch (error) {
      if (codeOf(error) !== "ENOENT") throw error;
      const there = await unlessGone(this.#digest(to));
      if (there?.sha256 !== sha256) throw error;
    }
    await this.#syncDirectory(dirname(to));
  }

  /** The first of the paths that is there. */
  async #copyFirst(paths: readonly string[], to: string): Promise<string> {
    for (const path of paths) {
      const from = this.at(path);
      try {
        await this.#copy(from, to);
        return from;
      } catch (error) {
        if (!isMissing(error)) throw error;
      }
    }
    throw new Fault("data-corrupt", `copy ${this.at(paths[0] ?? "")}: the file is missing`);
  }

  async #copy(from: string, to: string): Promise<void> {
    // Opened first, so that a file that is missing leaves no empty copy.
    const source = await this.#layer.open(from, "r").catch((error: unknown) => {
      if (codeOf(error) !== "ENOENT") throw error;
      throw new Fault("data-corrupt", `copy ${from}: the file is missing`, {}, error);
    });
    try {
      await this.#write(to, async (write) => {
        const piece = new Uint8Array(PIECE_BYTES);
        for (let read = await source.read(piece); read > 0; read = await source.read(piece)) {
          await write(piece.subarray(0, read));
          this.#onProgress();
        }
      });
    } finally {
      await source.close();
    }
  }

  /** Reads the copy back. A copy that differs from a sound original is the file system's fault, and may go well next time. */
  async #checkCopy(copy: string, original: string, sha256: string): Promise<void> {
    const copied = await this.#digest(copy);
    if (copied.sha256 === sha256) return;
    const source = await unlessGone(this.#digest(original));
    if (source?.sha256 === sha256) {
      throw new Fault(
        "archive-unavailable",
        `copy ${original}: ${copied.bytes} of ${source.bytes} bytes arrived as sent`,
      );
    }
    throw new Fault("data-corrupt", `copy ${original}: its sha-256 is ${source?.sha256 ?? "gone"}, not ${sha256}`);
  }

  async #digest(path: string): Promise<FileFacts> {
    const hash: Hash = createHash("sha256");
    const bytes = await this.#eachPiece(path, (piece) => void hash.update(piece));
    return { bytes, sha256: hash.digest("hex") };
  }

  /** The piece is valid during the call only. */
  async #eachPiece(path: string, use: (piece: Uint8Array) => void): Promise<bigint> {
    const file = await this.#layer.open(path, "r");
    try {
      const buffer = new Uint8Array(PIECE_BYTES);
      let bytes = 0n;
      for (let read = await file.read(buffer); read > 0; read = await file.read(buffer)) {
        use(buffer.subarray(0, read));
        bytes += BigInt(read);
        this.#onProgress();
      }
      return bytes;
    } finally {
      await file.close();
    }
  }

  /** Writes a new file and syncs it. An error of a write may come with the sync or the close only. */
  async #write(path: string, fill: (write: (bytes: Uint8Array) => Promise<void>) => Promise<void>): Promise<void> {
    const file = await this.#layer.open(path, "w");
    try {
      await fill(async (bytes) => {
        for (let at = 0; at < bytes.length; ) {
          const taken = await file.write(bytes.subarray(at));
          if (taken === 0) throw new Error(`write ${path}: nothing of ${bytes.length - at} bytes was taken`);
          at += taken;
        }
      });
      await file.sync();
    } finally {
      await file.close();
    }
  }

  async #syncDirectory(path: string): Promise<void> {
    const directory = await this.#layer.open(path, "r");
    try {
      await directory.sync();
    } finally {
      await directory.close();
    }
  }

  /** What cannot be removed now is collected later. */
  async #discard(temporary: string): Promise<void> {
    if (isTemporaryName(temporary)) await this.#layer.removeFile(temporary).catch(() => {});
  }
}

function isMissing(error: unknown): boolean {
  return codeOf(error instanceof Fault ? error.cause : error) === "ENOENT";
}

async function unlessGone<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    throw error;
  }
}

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException | undefined)?.code;
}
