import { mkdir, open, readdir, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { temporaryName } from "../../process/durable-file.ts";
import { sha256Of } from "../../process/file-digest.ts";
import { ColumnFileWriter, readColumnFile } from "./column-file.ts";
import type { ColumnBatch } from "./snapshot-reader.ts";

/** Goes up when what a scan of the same segments gives changes, or the file that keeps it. */
const FORMAT = 1;

/** What a scan's rows are a function of. Segments are named by their content, so what is kept never needs invalidating. */
export interface ScanKey {
  readonly segments: readonly string[];
  readonly columns: readonly { readonly name: string; readonly type: string }[];
  readonly orderBy: readonly string[];
}

export interface ScanCacheOptions {
  /** Processes share it. */
  readonly directory: string;
  /** Above it what was written first goes first. */
  readonly bytesMax: number;
}

/**
 * Sorted columns of scans, beside the data: a process that is started again has its states without DuckDB, which takes a
 * fifth of the time. A cache and no more: files are not synced, one that is damaged or gone is made anew, and where none
 * can be written nothing is kept.
 */
export class ScanCache {
  readonly #options: ScanCacheOptions;

  constructor(options: ScanCacheOptions) {
    this.#options = options;
  }

  /** The scan's batches, kept ones if they are sound and as many as `rows`, else those of `scan`, which are then kept. */
  async *batches(key: ScanKey, rows: bigint, scan: () => AsyncIterable<ColumnBatch>): AsyncIterable<ColumnBatch> {
    const path = join(
      this.#options.directory,
      sha256Of(JSON.stringify([FORMAT, key.segments, key.columns, key.orderBy])),
    );
    yield* (await readColumnFile(path, rows)) ?? this.#keeping(path, scan());
  }

  async *#keeping(path: string, scan: AsyncIterable<ColumnBatch>): AsyncIterable<ColumnBatch> {
    const unfinished = temporaryName(path);
    const file = await this.#create(unfinished);
    let writer = file === undefined ? undefined : new ColumnFileWriter(file);
    try {
      for await (const batch of scan) {
        if (writer !== undefined && !(await writer.add(batch).catch(() => false))) writer = undefined;
        yield batch;
      }
      if (writer === undefined) return;
      await writer
        .finish()
        .then(() => rename(unfinished, path))
        .then(() => this.#makeRoom())
        .catch(() => {});
    } finally {
      await file?.close().catch(() => {});
      if (file !== undefined) await rm(unfinished, { force: true }).catch(() => {});
    }
  }

  async #create(path: string) {
    try {
      await mkdir(this.#options.directory, { recursive: true });
      return await open(path, "w");
    } catch {
      return undefined;
    }
  }

  async #makeRoom(): Promise<void> {
    const { directory, bytesMax } = this.#options;
    const files: { path: string; size: number; mtimeMs: number }[] = [];
    for (const name of await readdir(directory).catch(() => [])) {
      const path = join(directory, name);
      const found = await stat(path).catch(() => undefined);
      if (found !== undefined) files.push({ path, size: found.size, mtimeMs: found.mtimeMs });
    }
    let bytes = files.reduce((sum, { size }) => sum + size, 0);
    for (const { path, size } of files.sort((a, b) => a.mtimeMs - b.mtimeMs)) {
      if (bytes <= bytesMax) return;
      await rm(path, { force: true });
      bytes -= size;
    }
  }
}
