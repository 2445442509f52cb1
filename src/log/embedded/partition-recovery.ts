import { open, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { Fault } from "../../fault/fault.ts";
import { type Bound, readBoundOnce } from "./bound-file.ts";
import { segmentName, segmentOffsets } from "./log-paths.ts";
import { BATCH_MAGIC, isBatchWhole, readBatchHeader } from "./record-batch.ts";

/**
 * What the writer does with a partition before it writes: read every batch and decide what the first bad one means.
 *
 *   |whole|whole|whole|whole|to|            torn tail: a writer died in the middle of a write. Cut off and reported.
 *                     ^bound
 *   |whole|xxxxx|whole|whole|               damage: these records were acknowledged. Refused, with file and position.
 *                           ^bound
 *   |whole|whole|                           the same, though what is there is whole: records are missing.
 *                           ^bound
 *
 * Without a bound file (an older copy, or someone took it away to accept a loss) only the last batch may be bad.
 * Earlier segments were synced before the next was begun, so nothing in them can be a torn tail.
 */
export interface RecoveredPartition {
  readonly bound: Bound;
  /** The segment to append to and where it ends. */
  readonly lastSegment: bigint;
  readonly lastSegmentBytes: number;
  /** The bound that readers saw until now; `undefined` when the file was missing or unreadable. */
  readonly recordedBound: bigint | undefined;
  readonly repair: Repair | undefined;
}

/** Bytes that were never acknowledged and are cut off. */
export interface Repair {
  readonly file: string;
  readonly position: number;
  readonly bytesDropped: number;
}

/** Fault `log-corrupt`. Changes nothing but a torn tail. */
export async function recoverPartition(path: string): Promise<RecoveredPartition> {
  const recorded = await readBoundOnce(path);
  const segments = segmentOffsets(await readdir(path));
  const start = recorded?.start ?? 0n;
  let end = start;
  let lastSegment = start;
  let scan: SegmentScan = { end, position: 0, size: 0, hasWholeBatchAfter: false };
  if (segments.length === 0) throw corrupt(join(path, segmentName(start)), 0, "the segment is missing");
  for (const [i, base] of segments.entries()) {
    const file = join(path, segmentName(base));
    if (base !== end) throw corrupt(join(path, segmentName(end)), 0, `records ${end} to ${base - 1n} are missing`);
    scan = await scanSegment(file, base);
    const isTorn = scan.position < scan.size;
    if (isTorn && i < segments.length - 1) throw corrupt(file, scan.position, "a damaged batch, and more follow");
    end = scan.end;
    lastSegment = base;
  }
  const file = join(path, segmentName(lastSegment));
  if (recorded !== undefined && end < recorded.bound) {
    const what = scan.position < scan.size ? "a damaged batch" : "the file ends";
    throw corrupt(file, scan.position, `${what}, but records up to ${recorded.bound} were acknowledged`);
  }
  if (recorded === undefined && scan.hasWholeBatchAfter) {
    throw corrupt(file, scan.position, "a damaged batch, and more follow");
  }
  const repair = scan.position < scan.size ? await cutTail(file, scan) : undefined;
  const bound = { start, bound: end };
  return { bound, lastSegment, lastSegmentBytes: scan.position, recordedBound: recorded?.bound, repair };
}

interface SegmentScan {
  /** The offset after the last whole batch. */
  readonly end: bigint;
  /** Where the last whole batch ends. */
  readonly position: number;
  readonly size: number;
  readonly hasWholeBatchAfter: boolean;
}

async function scanSegment(file: string, base: bigint): Promise<SegmentScan> {
  const bytes = await readFile(file);
  let position = 0;
  let end = base;
  for (;;) {
    const header = readBatchHeader(bytes, position);
    if (header === undefined || header.baseOffset !== end || !isBatchWhole(bytes, position, header)) break;
    position += header.byteLength;
    end += BigInt(header.count);
  }
  const hasWholeBatchAfter = position < bytes.length && findWholeBatch(bytes, position + 1, end);
  return { end, position, size: bytes.length, hasWholeBatchAfter };
}

function findWholeBatch(bytes: Buffer, from: number, offsetMin: bigint): boolean {
  const magic = Buffer.alloc(4);
  magic.writeUInt32LE(BATCH_MAGIC);
  for (let at = bytes.indexOf(magic, from); at >= 0; at = bytes.indexOf(magic, at + 1)) {
    const header = readBatchHeader(bytes, at);
    if (header !== undefined && header.baseOffset >= offsetMin && isBatchWhole(bytes, at, header)) return true;
  }
  return false;
}

async function cutTail(file: string, scan: SegmentScan): Promise<Repair> {
  const handle = await open(file, "r+");
  try {
    await handle.truncate(scan.position);
    await handle.sync();
  } finally {
    await handle.close();
  }
  return { file, position: scan.position, bytesDropped: scan.size - scan.position };
}

export function corrupt(file: string, position: number, what: string): Fault {
  return new Fault("log-corrupt", `read log: ${file} at byte ${position}: ${what}`);
}
