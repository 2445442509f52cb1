/**
 * Record batches of Kafka as `record-batch.ts` describes them, uncompressed. Written here because the client's encoder gets
 * timestamps wrong that lie more than 2^31 ms apart in one batch (its 64-bit zigzag shifts by 31), and without a word.
 */
import { crc32c } from "@platformatic/kafka";
import type { NewRecord } from "../log.ts";

const HEADER_BYTES = 61;
const VARINT_BYTES_MAX = 8;
const LENGTH_BYTES = 5;

export interface BatchIdentity {
  readonly producerId: bigint;
  readonly producerEpoch: number;
  /** Of the first record, in the producer's partition. */
  readonly sequence: number;
}

export function encodeBatch(records: readonly NewRecord[], identity: BatchIdentity): Buffer {
  let most = HEADER_BYTES;
  for (const record of records) most += recordBytesMax(record);
  const bytes = Buffer.allocUnsafe(most);
  const first = records[0]!.timestampMs;
  let greatest = first;
  let end = HEADER_BYTES;
  for (const [i, record] of records.entries()) {
    if (record.timestampMs > greatest) greatest = record.timestampMs;
    end = encodeRecord(bytes, end, record, { timestampDelta: record.timestampMs - first, offsetDelta: i });
  }
  bytes.writeBigInt64BE(0n, 0);
  bytes.writeInt32BE(end - 12, 8);
  bytes.writeInt32BE(-1, 12);
  bytes.writeInt8(2, 16);
  bytes.writeInt16BE(0, 21);
  bytes.writeInt32BE(records.length - 1, 23);
  bytes.writeBigInt64BE(BigInt(first), 27);
  bytes.writeBigInt64BE(BigInt(greatest), 35);
  bytes.writeBigInt64BE(identity.producerId, 43);
  bytes.writeInt16BE(identity.producerEpoch, 51);
  bytes.writeInt32BE(identity.sequence, 53);
  bytes.writeInt32BE(records.length, 57);
  bytes.writeUInt32BE(crc32c(bytes.subarray(21, end)), 17);
  return bytes.subarray(0, end);
}

function recordBytesMax({ key, value, headers }: NewRecord): number {
  let bytes = LENGTH_BYTES + 1 + 5 * VARINT_BYTES_MAX + (key?.length ?? 0) + (value?.length ?? 0);
  for (const [name, header] of headers) bytes += 2 * VARINT_BYTES_MAX + 3 * name.length + header.length;
  return bytes;
}

/** Its length stands before it: it is written behind room for the longest length, and moved to where it belongs. */
function encodeRecord(
  into: Buffer,
  position: number,
  { key, value, headers }: NewRecord,
  place: { readonly timestampDelta: number; readonly offsetDelta: number },
): number {
  const start = position + LENGTH_BYTES;
  into[start] = 0;
  let p = writeVarint(into, start + 1, place.timestampDelta);
  p = writeVarint(into, p, place.offsetDelta);
  p = writeNullable(into, p, key);
  p = writeNullable(into, p, value);
  p = writeVarint(into, p, headers.length);
  for (const [name, header] of headers) {
    p = writeNullable(into, p, Buffer.from(name, "utf8"));
    p = writeNullable(into, p, header);
  }
  const body = writeVarint(into, position, p - start);
  into.copyWithin(body, start, p);
  return body + (p - start);
}

function writeNullable(into: Buffer, position: number, bytes: Uint8Array | null): number {
  if (bytes === null) return writeVarint(into, position, -1);
  const p = writeVarint(into, position, bytes.length);
  into.set(bytes, p);
  return p + bytes.length;
}

/** Zigzag; exact for every safe integer that doubled is one. */
function writeVarint(into: Buffer, position: number, value: number): number {
  let p = position;
  let rest = value < 0 ? -2 * value - 1 : 2 * value;
  while (rest >= 0x80) {
    into[p++] = (rest % 0x80) | 0x80;
    rest = Math.floor(rest / 0x80);
  }
  into[p++] = rest;
  return p;
}
