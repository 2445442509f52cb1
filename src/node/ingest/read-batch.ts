import type { Log, LogRecord } from "../../log/log.ts";
import type { Clock } from "../../process/clock.ts";
import { nextTurn } from "../../process/turn.ts";
import { RowReject } from "../../row-format/row-reject.ts";
import type { DecodedRecord, IngestBatch, RejectedRecord } from "../store/shard-store.ts";
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
}

/**
 * The records from `from` on, each as a row or as a reject: none is left out. May be empty (`to` equal to `from`) when the
 * log had nothing within its wait.
 */
export async function readBatch(source: BatchSource, from: bigint, signal: AbortSignal): Promise<IngestBatch> {
  const { log, topic, topicId, partition, limits, clock } = source;
  const rows: DecodedRecord[] = [];
  const rejects: RejectedRecord[] = [];
  const startedMs = clock.monotonic();
  let bytes = 0;
  let to = from;
  for (;;) {
    const fetched = await log.fetch({
      topic,
      topicId,
      partition,
      offset: to,
      maxBytes: limits.fetchBytes,
      maxWaitMs: limits.fetchWaitMs,
      signal,
    });
    let untilTurn = RECORDS_PER_TURN;
    for (const record of fetched.records) {
      const decoded = source.decode(record, partition);
      if (decoded instanceof RowReject) rejects.push(rejected(source, record, decoded.reason));
      else rows.push(decoded);
      bytes += recordBytes(record);
      if (--untilTurn === 0) {
        await nextTurn();
        untilTurn = RECORDS_PER_TURN;
      }
    }
    to = fetched.nextOffset;
    const full = rows.length + rejects.length >= limits.batchRowsMax || bytes >= limits.batchBytesMax;
    const old = clock.monotonic() - startedMs >= limits.batchAgeMaxMs;
    if (full || old || to >= fetched.bound) return { topic, topicId, partition, from, to, rows, rejects };
  }
}

function rejected({ topic, partition }: BatchSource, record: LogRecord, reason: string): RejectedRecord {
  const { offset, timestampMs, key, value } = record;
  return { topic, partition, offset, timestampMs, reason, key, value };
}

function recordBytes(record: LogRecord): number {
  return (record.key?.byteLength ?? 0) + (record.value?.byteLength ?? 0);
}
