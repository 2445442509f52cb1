import { stat } from "node:fs/promises";
import { sha256OfFile } from "./file-digest.ts";

/** Above it the digest that was worked out first is forgotten. */
const FILES_MAX = 100_000;

interface Known {
  readonly identity: string;
  readonly sha256: string;
}

/**
 * SHA-256 of files that never change, worked out once: a file is read again when it is not the one that was read, by
 * device, inode, size and both times in nanoseconds. So whoever looks at many snapshots of the same segments reads each
 * of them once, while a file that was replaced, cut or written to is noticed. A disk that gives other bytes for a file that
 * nobody wrote is noticed by the next process.
 */
export class KnownDigests {
  readonly #known = new Map<string, Known>();

  /** SHA-256 in lower-case hex. Throws what the file system throws. */
  async sha256(path: string): Promise<string> {
    const identity = await identityOf(path);
    const known = this.#known.get(path);
    if (known?.identity === identity) return known.sha256;
    this.#known.delete(path);
    const sha256 = await sha256OfFile(path);
    // What was written to while it was read is not known by what was read.
    if ((await identityOf(path)) === identity) this.#remember(path, { identity, sha256 });
    return sha256;
  }

  #remember(path: string, known: Known): void {
    this.#known.set(path, known);
    const [oldest] = this.#known.keys();
    if (this.#known.size > FILES_MAX && oldest !== undefined) this.#known.delete(oldest);
  }
}

async function identityOf(path: string): Promise<string> {
  const { dev, ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true });
  return `${dev} ${ino} ${size} ${mtimeNs} ${ctimeNs}`;
}
