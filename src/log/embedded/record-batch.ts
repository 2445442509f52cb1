import { crc32 } from "node:zlib";
import type { LogRecord, NewRecord } from "../log.ts";
import { RECORD_BYTES_MAX } from "../record-limits.ts";
import { decodeRecords, encodedBytesMax, encodeRecord } from "./record-codec.ts";

/**
 * A batch is the unit that is written, checked and read: a fixed header, then its records. Little-endian.
 *
 *    0 u32 magic       4 u32 CRC-32 of everything from byte 8 on
 *    8 u32 bytes, header included             12 u32 records
 *   16 u64 base offset     24 i64 first timestamp     32 i64 greatest timestamp
 *   40 u32 CRC-32 of bytes 8 to 39           44 u32 zero
 *
 * The header has a CRC of its own, so an index is built from headers alone and still never from damaged ones. The
 * greatest timestamp answers "first record at or after T" for any order of timestamps.
 */
export const BATCH_HEADER_BYTES = 48;
/** "SKB1" as it stands in the file. */
export const BATCH_MAGIC = 0x31424b53;
/** No batch is longer than this: one greatest record in a batch of its own. */
export const BATCH_BYTES_MAX = RECORD_BYTES_MAX + 1024;

export interface BatchHeader {
  readonly crc: number;
  readonly byteLength: number;
  readonly count: number;
  readonly baseOffset: bigint;
  readonly firstTimestampMs: number;
  readonly maxTimestampMs: number;
}

/** The header at `position`, or `undefined` where none is whole. It says nothing yet about the records. */
export function readBatchHeader(bytes: Buffer, position: number): BatchHeader | undefined {
  if (position + BATCH_HEADER_BYTES > bytes.length) return undefined;
  if (bytes.readUInt32LE(position) !== BATCH_MAGIC) return undefined;
  const byteLength = bytes.readUInt32LE(position + 8);
  const count = bytes.readUInt32LE(position + 12);
  if (bytes.readUInt32LE(position + 40) !== crc32(bytes.subarray(position + 8, position + 40))) return undefined;
  if (byteLength <= BATCH_HEADER_BYTES || byteLength > BATCH_BYTES_MAX) return undefined;
  if (count === 0 || count > byteLength) return undefined;
  return {
    crc: bytes.readUInt32LE(position + 4),
    byteLength,
    count,
    baseOffset: bytes.readBigUInt64LE(position + 16),
    firstTimestampMs: Number(bytes.readBigInt64LE(position + 24)),
    maxTimestampMs: Number(bytes.readBigInt64LE(position + 32)),
  };
}

/** True when the batch at `position` lies whole in `bytes` and nothing in it has changed since it was written. */
export function isBatchWhole(bytes: Buffer, position: number, header: BatchHeader): boolean {
  const end = position + header.byteLength;
  return end <= bytes.length && crc32(bytes.subarray(position + 8, end)) === header.crc;
}

/** The records from `fromOffset` on, appended to `into`. False when the records do not fill the batch exactly. */
export function decodeBatch(
  bytes: Buffer,
  position: number,
  header: BatchHeader,
  selection: { readonly fromOffset: bigint; readonly into: LogRecord[] },
): boolean {
  const batch = bytes.subarray(position, position + header.byteLength);
  const { count, baseOffset, firstTimestampMs } = header;
  const source = { bytes: batch, position: BATCH_HEADER_BYTES, count, baseOffset, firstTimestampMs };
  return decodeRecords(source, selection.fromOffset, selection.into) === header.byteLength;
}

/** Collects records and turns them into the bytes of one batch. */
export class BatchBuilder {
  #bytes: Buffer;
  #end = BATCH_HEADER_BYTES;
  #count = 0;
  #firstTimestampMs = 0;
  #maxTimestampMs = 0;

  constructor(bytesExpected: number) {
    this.#bytes = Buffer.allocUnsafe(bytesExpected + BATCH_HEADER_BYTES);
  }

  get count(): number {
    return this.#count;
  }

  get byteLength(): number {
    return this.#end;
  }

  add(record: NewRecord): void {
    this.#reserve(encodedBytesMax(record));
    if (this.#count === 0) {
      this.#firstTimestampMs = record.timestampMs;
      this.#maxTimestampMs = record.timestampMs;
    } else if (record.timestampMs > this.#maxTimestampMs) this.#maxTimestampMs = record.timestampMs;
    this.#end = encodeRecord(this.#bytes, this.#end, record, this.#firstTimestampMs);
    this.#count++;
  }

  /** The batch's bytes; the builder is spent. */
  finish(baseOffset: bigint): Buffer {
    const batch = this.#bytes.subarray(0, this.#end);
    batch.writeUInt32LE(BATCH_MAGIC, 0);
    batch.writeUInt32LE(this.#end, 8);
    batch.writeUInt32LE(this.#count, 12);
    batch.writeBigUInt64LE(baseOffset, 16);
    batch.writeBigInt64LE(BigInt(this.#firstTimestampMs), 24);
    batch.writeBigInt64LE(BigInt(this.#maxTimestampMs), 32);
    batch.writeUInt32LE(crc32(batch.subarray(8, 40)), 40);
    batch.writeUInt32LE(0, 44);
    batch.writeUInt32LE(crc32(batch.subarray(8)), 4);
    return batch;
  }

  #reserve(bytes: number): void {
    if (this.#end + bytes <= this.#bytes.length) return;
    const grown = Buffer.allocUnsafe(Math.max(2 * this.#bytes.length, this.#end + bytes));
    this.#bytes.copy(grown, 0, 0, this.#end);
    this.#bytes = grown;
  }
}
