import type { Log, LogRecord } from "../../log/log.ts";
import type { Clock } from "../../process/clock.ts";
import { nextTurn } from "../../process/turn.ts";
import { RowReject } from "../../row-format/row-reject.ts";
import type { DecodedRecord, IngestBatch, RejectedRecord } from "../store/shard-store.ts";
import type { ByteBudget, HeldBytes } from "./byte-budget.ts";
import type { IngestLimits } from "./ingest-limits.ts";
import type { RecordDecoder } from "./record-decoder.ts";

/** Records decoded before others get a turn of the event loop: about 2 ms of work. */
const RECORDS_PER_TURN = 1_000;

export interface BatchSource {
  readonly log: Log;
  readonly topic: string;
  readonly topicId: string;
  readonly partition: number;
  readonly decode: RecordDecoder;
  readonly limits: IngestLimits;
  readonly clock: Clock;
  /** Of the node. */
  readonly budget: ByteBudget;
}

export interface ReadBatch {
  readonly batch: IngestBatch;
  /** Where the partition ended when the last of it was read. */
  readonly bound: bigint;
  /** To be released when nobody holds the batch any more. */
  readonly held: HeldBytes;
}

/**
 * The records from `from` on, each as a row or as a reject: none is left out. May be empty (`to` equal to `from`) when the
 * log had nothing within its wait. `isBehind`: the log is known to have more.
 */
export async function readBatch(
  source: BatchSource,
  from: bigint,
  isBehind: boolean,
  signal: AbortSignal,
): Promise<ReadBatch> {
  const { budget, limits } = source;
  const fetchBytes = withinShare(isBehind ? limits.fetchBytes : Math.min(limits.pollBytes, limits.fetchBytes), budget);
  const held = await budget.take(fetchBytes, signal);
  try {
    return { ...(await fillBatch(source, { from, fetchBytes, held }, signal)), held };
  } catch (error) {
    held.release();
    throw error;
  }
}

interface BatchStart {
  readonly from: bigint;
  /** Of the first fetch: there is room for them. */
  readonly fetchBytes: number;
  readonly held: HeldBytes;
}

async function fillBatch(
  source: BatchSource,
  { from, fetchBytes, held }: BatchStart,
  signal: AbortSignal,
): Promise<Omit<ReadBatch, "held">> {
  const { log, topic, topicId, partition, limits, clock, budget } = source;
  const rows: DecodedRecord[] = [];
  const rejects: RejectedRecord[] = [];
  const startedMs = clock.monotonic();
  let bytes = 0;
  let to = from;
  let maxBytes = fetchBytes;
  for (;;) {
    const fetched = await log.fetch({
      topic,
      topicId,
      partition,
      offset: to,
      maxBytes,
      maxWaitMs: limits.fetchWaitMs,
      signal,
    });
    for (const record of fetched.records) bytes += recordBytes(record);
    held.settle(bytes);
    let untilTurn = RECORDS_PER_TURN;
    for (const record of fetched.records) {
      const decoded = source.decode(record, partition);
      if (decoded instanceof RowReject) rejects.push(rejected(source, record, decoded.reason));
      else rows.push(decoded);
      if (--untilTurn === 0) {
        await nextTurn();
        untilTurn = RECORDS_PER_TURN;
      }
    }
    to = fetched.nextOffset;
    maxBytes = withinShare(limits.fetchBytes, budget);
    const bytesMax = Math.min(limits.batchBytesMax, budget.share);
    const full = rows.length + rejects.length >= limits.batchRowsMax || bytes + maxBytes > bytesMax;
    const old = clock.monotonic() - startedMs >= limits.batchAgeMaxMs;
    // Without room for more, what is there is committed, which makes room.
    if (full || old || to >= fetched.bound || !held.more(maxBytes)) {
      return { batch: { topic, topicId, partition, from, to, rows, rejects }, bound: fetched.bound };
    }
  }
}

function withinShare(bytes: number, { share }: ByteBudget): number {
  return Math.max(1, Math.floor(Math.min(bytes, share)));
}

function rejected({ topic, partition }: BatchSource, record: LogRecord, reason: string): RejectedRecord {
  const { offset, timestampMs, key, value } = record;
  return { topic, partition, offset, timestampMs, reason, key, value };
}

function recordBytes(record: LogRecord): number {
  return (record.key?.byteLength ?? 0) + (record.value?.byteLength ?? 0);
}
