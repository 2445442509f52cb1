/**
 * Record batches of Kafka (format 2, all that brokers of today store and send), read here because the client's reader does
 * not compare checksums, drops header names that are not unique and makes an object for each byte array:
 *
 *    0 i64 base offset   8 i32 bytes after byte 12   12 i32 leader epoch   16 i8 magic 2   17 u32 CRC-32C from byte 21 on
 *   21 i16 attributes   23 i32 last offset − base   27 i64 first timestamp   35 i64 greatest timestamp
 *   43 i64 producer id   51 i16 producer epoch   53 i32 sequence   57 i32 records   61 records, compressed as one
 *
 * attributes: bits 0–2 compression, 3 timestamps are the broker's, 4 transactional, 5 control
 * record: length · attributes · timestamp − first · offset − base · key · value · headers, as zigzag varints
 */
import { compressionsAlgorithmsByBitmask, crc32c } from "@platformatic/kafka";
import type { LogRecord } from "../log.ts";

const HEADER_BYTES = 61;
const LENGTH_ENDS = 12;
const CRC_FROM = 21;
const NO_HEADERS: LogRecord["headers"] = Object.freeze([]);

export interface KafkaBatch {
  readonly baseOffset: bigint;
  readonly lastOffset: bigint;
  readonly attributes: number;
  readonly firstTimestampMs: number;
  readonly maxTimestampMs: number;
  readonly producerId: bigint;
  readonly count: number;
  /** Of the whole batch. */
  readonly byteLength: number;
}

/** Why bytes are no batch, or no record. */
export class BatchDamage extends Error {}

/** The batch at `position`; `undefined` when it does not lie whole in `bytes`. Throws `BatchDamage`. */
export function readBatch(bytes: Buffer, position: number): KafkaBatch | undefined {
  if (bytes.length - position < HEADER_BYTES) return undefined;
  const byteLength = LENGTH_ENDS + bytes.readInt32BE(position + 8);
  const magic = bytes.readInt8(position + 16);
  if (magic !== 2 || byteLength < HEADER_BYTES) {
    throw new BatchDamage(`a batch of format ${magic} and ${byteLength} bytes`);
  }
  if (bytes.length - position < byteLength) return undefined;
  const baseOffset = bytes.readBigInt64BE(position);
  if (crc32c(bytes.subarray(position + CRC_FROM, position + byteLength)) !== bytes.readUInt32BE(position + 17)) {
    throw new BatchDamage(`the batch at offset ${baseOffset} has another checksum than it says`);
  }
  return {
    baseOffset,
    lastOffset: baseOffset + BigInt(bytes.readInt32BE(position + 23)),
    attributes: bytes.readInt16BE(position + 21),
    firstTimestampMs: Number(bytes.readBigInt64BE(position + 27)),
    maxTimestampMs: Number(bytes.readBigInt64BE(position + 35)),
    producerId: bytes.readBigInt64BE(position + 43),
    count: bytes.readInt32BE(position + 57),
    byteLength,
  };
}

export function isTransactional({ attributes }: KafkaBatch): boolean {
  return (attributes & 0x10) !== 0;
}

export function isControl({ attributes }: KafkaBatch): boolean {
  return (attributes & 0x20) !== 0;
}

/**
 * Appends the batch's records with offset ≥ `from` to `into`. Keys and values are views of `bytes`, or of what it was
 * decompressed to. Throws `BatchDamage`.
 */
export function decodeRecords(
  bytes: Buffer,
  position: number,
  batch: KafkaBatch,
  from: bigint,
  into: LogRecord[],
): void {
  const stored = bytes.subarray(position + HEADER_BYTES, position + batch.byteLength);
  const cursor: Cursor = { bytes: decompressed(stored, batch), position: 0 };
  const areBrokers = (batch.attributes & 0x08) !== 0;
  const base = batch.baseOffset;
  // Offsets as numbers: BigInt for each record would cost as much as all the rest of it.
  const skipBelow = from > base ? Number(from - base) : 0;
  for (let i = 0; i < batch.count; i++) {
    const length = readVarint(cursor);
    const end = cursor.position + length;
    if (length <= 0 || end > cursor.bytes.length) throw damaged(batch);
    cursor.position++;
    const timestampDelta = readVarint(cursor);
    const offsetDelta = readVarint(cursor);
    const key = readNullable(cursor);
    const value = readNullable(cursor);
    const headers = readHeaders(cursor);
    if (cursor.position !== end) throw damaged(batch);
    if (offsetDelta < skipBelow) continue;
    const timestampMs = areBrokers ? batch.maxTimestampMs : batch.firstTimestampMs + timestampDelta;
    into.push({ offset: base + BigInt(offsetDelta), timestampMs, key, value, headers });
  }
  if (cursor.position !== cursor.bytes.length) throw damaged(batch);
}

/** Whether a control batch ends its producer's transaction by taking it back; `undefined`: it is another kind. */
export function endsTransaction(bytes: Buffer, position: number, batch: KafkaBatch): "commit" | "abort" | undefined {
  const records: LogRecord[] = [];
  decodeRecords(bytes, position, batch, batch.baseOffset, records);
  const key = records[0]?.key;
  if (key === null || key === undefined || key.length < 4) return undefined;
  const type = (key[2]! << 8) | key[3]!;
  if (type === 0) return "abort";
  return type === 1 ? "commit" : undefined;
}

function decompressed(stored: Buffer, batch: KafkaBatch): Buffer {
  const algorithm = batch.attributes & 0x07;
  if (algorithm === 0) return stored;
  const known = compressionsAlgorithmsByBitmask[algorithm as keyof typeof compressionsAlgorithmsByBitmask];
  if (known === undefined)
    throw new BatchDamage(`the batch at offset ${batch.baseOffset} has compression ${algorithm}`);
  try {
    const plain = known.decompressSync(stored);
    return Buffer.from(plain.buffer, plain.byteOffset, plain.byteLength);
  } catch (error) {
    throw new BatchDamage(`decompress the batch at offset ${batch.baseOffset}: ${(error as Error).message}`);
  }
}

function damaged({ baseOffset }: KafkaBatch): BatchDamage {
  return new BatchDamage(`the records of the batch at offset ${baseOffset} do not fill it`);
}

interface Cursor {
  readonly bytes: Buffer;
  position: number;
}

function readHeaders(cursor: Cursor): LogRecord["headers"] {
  const count = readVarint(cursor);
  if (count === 0) return NO_HEADERS;
  const headers: [string, Uint8Array][] = [];
  for (let i = 0; i < count && cursor.position < cursor.bytes.length; i++) {
    const name = readNullable(cursor)?.toString("utf8") ?? "";
    headers.push([name, readNullable(cursor) ?? Buffer.alloc(0)]);
  }
  return headers;
}

function readNullable(cursor: Cursor): Buffer | null {
  const length = readVarint(cursor);
  if (length < 0) return null;
  const start = cursor.position;
  cursor.position = start + length;
  return cursor.bytes.subarray(start, start + length);
}

/** Exact up to 2^53. Past the end it reads zeros, and the caller finds that the position is not the end. */
function readVarint(cursor: Cursor): number {
  let byte = cursor.bytes[cursor.position++] ?? 0;
  let value = byte & 0x7f;
  for (let scale = 0x80; byte >= 0x80; scale *= 0x80) {
    byte = cursor.bytes[cursor.position++] ?? 0;
    value += (byte & 0x7f) * scale;
  }
  return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
}
