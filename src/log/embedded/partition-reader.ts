import { type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";
import { Fault } from "../../fault/fault.ts";
import { type Clock, sleep } from "../../process/clock.ts";
import type { LogRecord } from "../log.ts";
import { type Bound, readBound } from "./bound-file.ts";
import { ChangeWatch } from "./change-watch.ts";
import { BOUND_FILE, segmentName } from "./log-paths.ts";
import { corrupt } from "./partition-recovery.ts";
import { BATCH_HEADER_BYTES, type BatchHeader, decodeBatch, isBatchWhole, readBatchHeader } from "./record-batch.ts";
import { SegmentIndex } from "./segment-index.ts";

/** Read at once while looking for headers: several small batches, or one header of a big batch. */
const SCAN_BYTES = 16 * 1024;
/** A writer rewrites 24 bytes in microseconds: after so many looks a millisecond apart the file is damaged. */
const BOUND_LOOKS_MAX = 50;

/**
 * Reads one partition, up to the bound and never beyond: what lies there is durable, whole, and no longer changes, so
 * nothing needs to be agreed with the writer, which may be another process.
 */
export class PartitionReader {
  readonly path: string;
  readonly watch: ChangeWatch;
  readonly #clock: Clock;
  readonly #segments: SegmentIndex[] = [];
  /** The promise, not the handle: two callers at once must share one, or the other's is never closed. */
  #boundFile: Promise<FileHandle> | undefined;
  #scan: Promise<void> = Promise.resolve();

  constructor(path: string, clock: Clock) {
    this.path = path;
    this.#clock = clock;
    this.watch = new ChangeWatch(join(path, BOUND_FILE), clock);
  }

  /** Fault `log-corrupt` when the bound file is missing or unreadable. */
  async bound(): Promise<Bound> {
    const file = join(this.path, BOUND_FILE);
    for (let look = 0; look < BOUND_LOOKS_MAX; look++) {
      const bound = await readBound(await this.#openBoundFile(file));
      if (bound !== undefined) return bound;
      await sleep(this.#clock, 1);
    }
    throw corrupt(file, 0, "the bound is damaged; opening the log for writing finds it anew");
  }

  /** Whole batches from the one that holds `offset` on; `offset` must be in [start, bound). */
  async read(offset: bigint, bound: Bound, maxBytes: number): Promise<LogRecord[]> {
    await this.#scanTo(bound);
    const segment = this.#segments.findLast((candidate) => candidate.baseOffset <= offset);
    if (segment === undefined) throw corrupt(this.path, 0, `no segment holds offset ${offset}`);
    const records: LogRecord[] = [];
    const file = join(this.path, segmentName(segment.baseOffset));
    await this.#withFile(file, async (handle) => {
      const end = segment.scannedPosition;
      // The first chunk may hold only batches before the one that is wanted.
      for (let position = segment.positionBefore(offset); records.length === 0 && position < end; ) {
        const chunk = await this.#readChunk(handle, { file, position, bytes: maxBytes, end });
        position += takeBatches(chunk, { file, position, offset, records });
      }
    });
    return records;
  }

  /** The first offset below the bound with a timestamp ≥ `timestampMs`. */
  async offsetForTime(timestampMs: number): Promise<bigint | undefined> {
    const bound = await this.bound();
    await this.#scanTo(bound);
    for (const segment of this.#segments) {
      const entry = segment.firstEntryAt(timestampMs);
      if (entry === undefined) continue;
      for (let offset = entry.offset; offset < segment.scannedOffset; ) {
        const records = await this.read(offset, bound, SCAN_BYTES);
        const found = records.find((record) => record.timestampMs >= timestampMs);
        if (found !== undefined) return found.offset;
        offset = records.at(-1)!.offset + 1n;
      }
    }
    return undefined;
  }

  async close(): Promise<void> {
    this.watch.close();
    const opened = this.#boundFile;
    this.#boundFile = undefined;
    await (await opened?.catch(() => undefined))?.close();
  }

  #openBoundFile(file: string): Promise<FileHandle> {
    this.#boundFile ??= this.#openExisting(file).catch((error) => {
      this.#boundFile = undefined;
      throw error;
    });
    return this.#boundFile;
  }

  /** Extends the index up to the bound: one scan at a time, others wait for it. */
  async #scanTo(bound: Bound): Promise<void> {
    const scan = this.#scan.then(
      () => this.#scanNow(bound),
      () => this.#scanNow(bound),
    );
    this.#scan = scan;
    await scan;
  }

  async #scanNow({ start, bound }: Bound): Promise<void> {
    if (this.#segments.length === 0) this.#segments.push(new SegmentIndex(start));
    for (;;) {
      const segment = this.#segments.at(-1)!;
      if (segment.scannedOffset >= bound) return;
      const file = join(this.path, segmentName(segment.baseOffset));
      const isAtEnd = await this.#withFile(file, (handle) => scanSegment(handle, { file, segment, bound }));
      // The segment is at its end and the bound is further on: the next one begins here, or records are missing.
      if (isAtEnd) this.#segments.push(new SegmentIndex(segment.scannedOffset));
    }
  }

  async #readChunk(
    handle: FileHandle,
    { file, position, bytes, end }: { file: string; position: number; bytes: number; end: number },
  ): Promise<Buffer> {
    const wanted = Math.min(Math.max(bytes, BATCH_HEADER_BYTES), end - position);
    const chunk = await readAt(handle, position, wanted);
    const first = readBatchHeader(chunk, 0);
    if (chunk.length < wanted || first === undefined) throw corrupt(file, position, "no batch header is here");
    if (first.byteLength <= chunk.length) return chunk;
    const whole = await readAt(handle, position, first.byteLength);
    if (whole.length < first.byteLength) throw corrupt(file, position, "the file ends within a batch");
    return whole;
  }

  async #withFile<T>(file: string, work: (handle: FileHandle) => Promise<T>): Promise<T> {
    const handle = await this.#openExisting(file);
    try {
      return await work(handle);
    } finally {
      await handle.close();
    }
  }

  async #openExisting(file: string): Promise<FileHandle> {
    try {
      return await open(file, "r");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
      throw new Fault("log-corrupt", `read log: ${file} is missing`, {}, error);
    }
  }
}

/** Adds batches to the index up to the bound. True when the file ended before. */
async function scanSegment(
  handle: FileHandle,
  { file, segment, bound }: { file: string; segment: SegmentIndex; bound: bigint },
): Promise<boolean> {
  let window: Buffer = Buffer.alloc(0);
  let windowPosition = 0;
  while (segment.scannedOffset < bound) {
    const position = segment.scannedPosition;
    if (position + BATCH_HEADER_BYTES > windowPosition + window.length) {
      window = await readAt(handle, position, SCAN_BYTES);
      windowPosition = position;
      if (window.length === 0) return true;
    }
    const header = readBatchHeader(window, position - windowPosition);
    if (header === undefined) throw corrupt(file, position, "no batch header is here");
    if (header.baseOffset !== segment.scannedOffset) throw misplaced(file, position, header, segment.scannedOffset);
    segment.addBatch(header);
  }
  return false;
}

interface Taking {
  readonly file: string;
  /** Of the chunk in the file. */
  readonly position: number;
  readonly offset: bigint;
  readonly records: LogRecord[];
}

/** Decodes the whole batches of `chunk`; returns how many bytes they are. */
function takeBatches(chunk: Buffer, { file, position, offset, records }: Taking): number {
  let at = 0;
  for (;;) {
    const header = readBatchHeader(chunk, at);
    if (header === undefined || at + header.byteLength > chunk.length) return at;
    if (header.baseOffset + BigInt(header.count) > offset) {
      if (!isBatchWhole(chunk, at, header)) throw corrupt(file, position + at, "the batch's checksum does not match");
      if (!decodeBatch(chunk, at, header, { fromOffset: offset, into: records })) {
        throw corrupt(file, position + at, "the records do not fill the batch");
      }
    }
    at += header.byteLength;
  }
}

async function readAt(handle: FileHandle, position: number, bytes: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafeSlow(bytes);
  let filled = 0;
  while (filled < bytes) {
    const { bytesRead } = await handle.read(buffer, filled, bytes - filled, position + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return buffer.subarray(0, filled);
}

function misplaced(file: string, position: number, header: BatchHeader, expected: bigint): Fault {
  return corrupt(file, position, `the batch begins at offset ${header.baseOffset}, not ${expected}`);
}
