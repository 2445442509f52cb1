import type { LogRecord, NewRecord } from "../log.ts";

/**
 * One record inside a batch, all numbers as unsigned varints:
 *
 *   timestamp − first timestamp of the batch (zigzag) · key length + 1 (0: null) · key · value length + 1 (0: null) ·
 *   value · number of headers · for each: name length · name · value length · value
 *
 * Its offset is not written: it is the batch's base offset plus the record's place.
 */
const VARINT_BYTES_MAX = 8;
const NO_HEADERS: LogRecord["headers"] = Object.freeze([]);

/** An upper bound of what `encodeRecord` will write. */
export function encodedBytesMax(record: NewRecord): number {
  let bytes = 4 * VARINT_BYTES_MAX + (record.key?.length ?? 0) + (record.value?.length ?? 0);
  for (const [name, value] of record.headers) bytes += 2 * VARINT_BYTES_MAX + 3 * name.length + value.length;
  return bytes;
}

/** Writes `record` at `position`; returns where it ends. */
export function encodeRecord(into: Buffer, position: number, record: NewRecord, firstTimestampMs: number): number {
  const delta = record.timestampMs - firstTimestampMs;
  let p = writeVarint(into, position, delta < 0 ? -2 * delta - 1 : 2 * delta);
  p = writeNullable(into, p, record.key);
  p = writeNullable(into, p, record.value);
  p = writeVarint(into, p, record.headers.length);
  for (const [name, value] of record.headers) {
    p = writeBytes(into, p, Buffer.from(name, "utf8"), 0);
    p = writeBytes(into, p, value, 0);
  }
  return p;
}

interface RecordsToDecode {
  readonly bytes: Buffer;
  /** Where the first record begins in `bytes`. */
  readonly position: number;
  readonly count: number;
  readonly baseOffset: bigint;
  readonly firstTimestampMs: number;
}

/**
 * Appends the records with offset ≥ `fromOffset` to `into` and returns the position after the last. Keys and values are
 * views of `bytes`, not copies. Reads past the end give a position that is not the end: the caller compares.
 */
export function decodeRecords(source: RecordsToDecode, fromOffset: bigint, into: LogRecord[]): number {
  const cursor: Cursor = { bytes: source.bytes, position: source.position };
  const skip = fromOffset > source.baseOffset ? Number(fromOffset - source.baseOffset) : 0;
  let offset = source.baseOffset;
  for (let i = 0; i < source.count; i++, offset++) {
    const zigzag = readVarint(cursor);
    const delta = zigzag % 2 === 0 ? zigzag / 2 : -(zigzag + 1) / 2;
    const key = readNullable(cursor);
    const value = readNullable(cursor);
    const headerCount = readVarint(cursor);
    const headers = headerCount === 0 ? NO_HEADERS : readHeaders(cursor, headerCount);
    if (i >= skip) into.push({ offset, timestampMs: source.firstTimestampMs + delta, key, value, headers });
  }
  return cursor.position;
}

interface Cursor {
  readonly bytes: Buffer;
  position: number;
}

function readHeaders(cursor: Cursor, count: number): LogRecord["headers"] {
  const headers: [string, Uint8Array][] = [];
  for (let i = 0; i < count && cursor.position < cursor.bytes.length; i++) {
    const name = readBytes(cursor, readVarint(cursor)).toString("utf8");
    headers.push([name, readBytes(cursor, readVarint(cursor))]);
  }
  return headers;
}

function readNullable(cursor: Cursor): Buffer | null {
  const lengthPlusOne = readVarint(cursor);
  return lengthPlusOne === 0 ? null : readBytes(cursor, lengthPlusOne - 1);
}

function readBytes(cursor: Cursor, length: number): Buffer {
  const start = cursor.position;
  cursor.position = start + length;
  return cursor.bytes.subarray(start, start + length);
}

function readVarint(cursor: Cursor): number {
  let byte = cursor.bytes[cursor.position++]!;
  if (byte < 0x80) return byte;
  let value = byte & 0x7f;
  let scale = 0x80;
  do {
    byte = cursor.bytes[cursor.position++]!;
    value += (byte & 0x7f) * scale;
    scale *= 0x80;
  } while (byte >= 0x80);
  return value;
}

function writeNullable(into: Buffer, position: number, bytes: Uint8Array | null): number {
  if (bytes === null) return writeVarint(into, position, 0);
  return writeBytes(into, position, bytes, 1);
}

function writeBytes(into: Buffer, position: number, bytes: Uint8Array, lengthBias: number): number {
  const p = writeVarint(into, position, bytes.length + lengthBias);
  // A call into the engine's copy costs more than a short loop: keys are a few bytes.
  if (bytes.length > 24) into.set(bytes, p);
  else for (let i = 0; i < bytes.length; i++) into[p + i] = bytes[i]!;
  return p + bytes.length;
}

function writeVarint(into: Buffer, position: number, value: number): number {
  let p = position;
  let rest = value;
  while (rest >= 0x80) {
    into[p++] = (rest % 0x80) | 0x80;
    rest = Math.floor(rest / 0x80);
  }
  into[p++] = rest;
  return p;
}
