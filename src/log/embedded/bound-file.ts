import { type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { BOUND_FILE } from "./log-paths.ts";

/**
 * How far a partition is durable: the one thing that writer and readers of other processes share beside the segments.
 *
 *   0 u32 magic   4 u32 CRC-32 of the rest   8 u64 start   16 u64 bound
 *
 * The writer syncs the segments first and writes the bound after, so what a reader finds below the bound stays there
 * whatever fails. The file is written in place, so a reader may meet it half written; the CRC tells, and it looks again.
 * It is synced before a flush returns. A power cut before that leaves one that is too low; the next writer finds the true
 * end.
 *
 * It also tells a torn tail from damage. Bytes above the bound were never acknowledged to anyone and may be cut off;
 * bytes below it may have been read and applied, so when they are missing the log is damaged.
 */
export interface Bound {
  readonly start: bigint;
  readonly bound: bigint;
}

export const BOUND_BYTES = 24;
const BOUND_MAGIC = 0x3144424b;

export function encodeBound({ start, bound }: Bound): Buffer {
  const bytes = Buffer.alloc(BOUND_BYTES);
  bytes.writeUInt32LE(BOUND_MAGIC, 0);
  bytes.writeBigUInt64LE(start, 8);
  bytes.writeBigUInt64LE(bound, 16);
  bytes.writeUInt32LE(crc32(bytes.subarray(8)), 4);
  return bytes;
}

export function decodeBound(bytes: Buffer): Bound | undefined {
  if (bytes.length < BOUND_BYTES || bytes.readUInt32LE(0) !== BOUND_MAGIC) return undefined;
  if (crc32(bytes.subarray(8, BOUND_BYTES)) !== bytes.readUInt32LE(4)) return undefined;
  return { start: bytes.readBigUInt64LE(8), bound: bytes.readBigUInt64LE(16) };
}

/** What an open bound file says now; `undefined` when it is unreadable or being written at this moment. */
export async function readBound(file: FileHandle): Promise<Bound | undefined> {
  const bytes = Buffer.alloc(BOUND_BYTES);
  const { bytesRead } = await file.read(bytes, 0, BOUND_BYTES, 0);
  return decodeBound(bytes.subarray(0, bytesRead));
}

/** The bound that the partition's last writer left, or `undefined` when there is none to be trusted. */
export async function readBoundOnce(partitionPath: string): Promise<Bound | undefined> {
  let file: FileHandle;
  try {
    file = await open(join(partitionPath, BOUND_FILE), "r");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
  try {
    return await readBound(file);
  } finally {
    await file.close();
  }
}
