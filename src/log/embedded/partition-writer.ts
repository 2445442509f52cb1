import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";
import { syncDirectory } from "../../process/durable-file.ts";
import type { NewRecord } from "../log.ts";
import { encodeBound } from "./bound-file.ts";
import { BOUND_FILE, segmentName } from "./log-paths.ts";
import type { RecoveredPartition } from "./partition-recovery.ts";
import { BatchBuilder } from "./record-batch.ts";
import { encodedBytesMax } from "./record-codec.ts";

export interface PartitionLimits {
  /** A segment is closed before it would grow beyond this. */
  readonly segmentBytes: number;
  /** A batch is closed before it would grow beyond this, unless one record alone does. */
  readonly batchBytes: number;
}

/**
 * The end of one partition. `add` encodes at once; `writeOut` brings batches to the file; `sync` to the disk; `publish`
 * shows them to readers. The log writer calls the three in this order and never two at a time.
 */
export class PartitionWriter {
  readonly #path: string;
  readonly #limits: PartitionLimits;
  readonly #start: bigint;
  #builder: BatchBuilder | undefined;
  #builderOffset = 0n;
  #pending: Buffer[] = [];
  #pendingBytes = 0;
  #nextOffset: bigint;
  /** The offset after the last record in the file. */
  #writtenOffset: bigint;
  #publishedOffset: bigint | undefined;
  #segment: bigint;
  #position: number;
  #file: FileHandle | undefined;
  #boundFile: FileHandle | undefined;
  #needsSync: boolean;

  constructor(path: string, limits: PartitionLimits, recovered: RecoveredPartition) {
    this.#path = path;
    this.#limits = limits;
    this.#start = recovered.bound.start;
    this.#nextOffset = recovered.bound.bound;
    this.#writtenOffset = recovered.bound.bound;
    this.#publishedOffset = recovered.recordedBound;
    this.#segment = recovered.lastSegment;
    this.#position = recovered.lastSegmentBytes;
    // Whole batches above the recorded bound may be in the page cache only.
    this.#needsSync = recovered.recordedBound !== recovered.bound.bound;
  }

  get pendingBytes(): number {
    return this.#pendingBytes + (this.#builder?.byteLength ?? 0);
  }

  get isDirty(): boolean {
    return this.#needsSync || this.pendingBytes > 0 || this.#publishedOffset !== this.#nextOffset;
  }

  /** The offset of the first of `records`. */
  add(records: readonly NewRecord[]): bigint {
    const first = this.#nextOffset;
    for (const record of records) {
      if (this.#builder !== undefined && this.#builder.byteLength + encodedBytesMax(record) > this.#limits.batchBytes) {
        this.#closeBatch();
      }
      if (this.#builder === undefined) {
        this.#builder = new BatchBuilder(this.#builderBytes(records));
        this.#builderOffset = this.#nextOffset;
      }
      this.#builder.add(record);
      this.#nextOffset++;
    }
    return first;
  }

  async writeOut(): Promise<void> {
    this.#closeBatch();
    const batches = this.#pending;
    this.#pending = [];
    this.#pendingBytes = 0;
    for (const batch of batches) {
      if (this.#position > 0 && this.#position + batch.length > this.#limits.segmentBytes) await this.#roll();
      this.#file ??= await open(join(this.#path, segmentName(this.#segment)), "r+");
      this.#needsSync = true;
      await writeFully(this.#file, batch, this.#position);
      this.#position += batch.length;
      this.#writtenOffset += BigInt(batch.readUInt32LE(12));
    }
  }

  async sync(): Promise<void> {
    if (!this.#needsSync) return;
    this.#file ??= await open(join(this.#path, segmentName(this.#segment)), "r+");
    await this.#file.datasync();
    this.#needsSync = false;
  }

  /**
   * Only after `sync`: readers take what lies below the bound for durable. The bound is durable too when this returns: one
   * that went back in a power cut would hide records that were acknowledged, and cuts are fixed by it.
   */
  async publish(): Promise<void> {
    if (this.#publishedOffset === this.#writtenOffset) return;
    this.#boundFile ??= await this.#openBound();
    const bound = this.#writtenOffset;
    await writeFully(this.#boundFile, encodeBound({ start: this.#start, bound }), 0);
    await this.#boundFile.datasync();
    this.#publishedOffset = bound;
  }

  async #openBound(): Promise<FileHandle> {
    const file = await open(join(this.#path, BOUND_FILE), constants.O_RDWR | constants.O_CREAT, 0o644);
    await syncDirectory(this.#path);
    return file;
  }

  async close(): Promise<void> {
    await this.#file?.close();
    await this.#boundFile?.close();
    this.#file = undefined;
    this.#boundFile = undefined;
  }

  #closeBatch(): void {
    if (this.#builder === undefined) return;
    const batch = this.#builder.finish(this.#builderOffset);
    this.#builder = undefined;
    this.#pending.push(batch);
    this.#pendingBytes += batch.length;
  }

  /** Earlier segments are whole on disk before the next begins: only the last one can have a torn tail. */
  async #roll(): Promise<void> {
    await this.sync();
    await this.#file?.close();
    this.#segment = this.#writtenOffset;
    this.#file = await open(join(this.#path, segmentName(this.#segment)), "wx+");
    this.#position = 0;
    await syncDirectory(this.#path);
  }

  /** A batch's worth for many records, no more than needed for a few. */
  #builderBytes(records: readonly NewRecord[]): number {
    if (records.length > 256) return this.#limits.batchBytes;
    let bytes = 0;
    for (const record of records) bytes += encodedBytesMax(record);
    return Math.min(bytes, this.#limits.batchBytes);
  }
}

async function writeFully(file: FileHandle, bytes: Buffer, position: number): Promise<void> {
  let written = 0;
  while (written < bytes.length) {
    const { bytesWritten } = await file.write(bytes, written, bytes.length - written, position + written);
    written += bytesWritten;
  }
}
