import assert from "node:assert/strict";
import { stat } from "node:fs/promises";
import { Fault } from "../fault/fault.ts";
import { faultFromUnknown } from "../fault/fault-from-unknown.ts";
import type { Log, LogWriter, NewRecord, TopicDescription } from "../log/log.ts";
import { partitionOf } from "../log/partitioner.ts";
import { recordProblem } from "../log/record-limits.ts";
import type { Clock } from "../process/clock.ts";
import { RowReject } from "../row-format/row-reject.ts";
import { step } from "../telemetry/step-channel.ts";
import { HeldRecords } from "./held-records.ts";
import { inputFormatOf } from "./input-format.ts";
import { openJsonLines } from "./json-lines-source.ts";
import { badRow, type RowSource, type TimestampChoice } from "./row-choice.ts";
import { openTable } from "./table-source.ts";

/** After so many bytes of keys and values they are made durable and told: what a kill costs to load again at most. */
const FLUSH_BYTES = 16 * 1024 * 1024;

export interface ProduceOptions {
  readonly writer: LogWriter;
  /** The same log for reading: only `resume` needs it. */
  readonly log?: Log;
  readonly clock: Clock;
  readonly signal?: AbortSignal;
  readonly file: string;
  /** `csv`, `tsv`, `jsonl` or `parquet`; otherwise the file's extension tells. */
  readonly format?: string;
  readonly topic: string;
  /** Of the topic, when it is to be created; it must be what the topic has, when it exists. */
  readonly partitions: number;
  /** Their values are the key: one as its text, several as a JSON array. None: records go round the partitions. */
  readonly keyColumns?: readonly string[];
  /** A timestamp, a date or ISO 8601 text. Without column and fixed time, records have the time of loading. */
  readonly timestampColumn?: string;
  readonly fixedTimestampMs?: number;
  /** The first rows only. */
  readonly limit?: number;
  /** Turns a row's JSON into the topic's format; absent: it is JSON. Throws `RowReject`. */
  readonly encode?: (json: Uint8Array) => Uint8Array;
  /** Go on where an earlier load of the same file with the same options ended, however it ended. */
  readonly resume?: boolean;
}

/** All of it is durable when it is told. */
export interface ProduceProgress {
  /** Of the file, those that an earlier load brought included. */
  readonly rows: number;
  readonly totalRows?: number;
  /** Of keys and values, in this load. */
  readonly bytes: number;
}

/**
 * Loads a file into a topic, in the file's order, and tells how far it is; the last progress is the whole. Which record
 * goes where depends on the file and the options alone.
 *
 * Faults: `bad-input-file` naming file and row: every row before it is loaded and durable, none after it, so that the
 * file can be mended and the load resumed; `invalid-request`; those of the log.
 */
export async function* produceFile(options: ProduceOptions): AsyncGenerator<ProduceProgress, void, undefined> {
  const { writer, file, topic, partitions, limit } = options;
  checkOptions(options);
  await checkFile(file);
  const source = await openSource(options);
  const description = await writer.createTopic(topic, partitions);
  const held = await heldRecords(options, description);
  const total = source.totalRows === undefined ? {} : { totalRows: source.totalRows };
  let rows = 0;
  let bytes = 0;
  let bytesFlushed = 0;
  try {
    for await (const batch of source.batches) {
      options.signal?.throwIfAborted();
      const { records: encoded, bad } = encodedRows(batch.records, rows, options);
      const places = placeRecords(encoded, { rowsBefore: rows, partitions, held });
      rows += encoded.length;
      // Each waits for its own partition: a log over a network takes all of them in the time of one.
      await Promise.all(
        places.map(async (records, partition) => {
          if (records.length === 0) return;
          await writer.append(topic, partition, records);
          for (const { key, value } of records) bytes += (key?.length ?? 0) + (value?.length ?? 0);
        }),
      );
      if (bad !== undefined) throw bad;
      if (bytes - bytesFlushed < FLUSH_BYTES) continue;
      bytesFlushed = bytes;
      await flush(writer, { topic, rows });
      yield { rows, bytes, ...total };
    }
    if (limit === undefined || rows < limit) held.checkAllPassed();
  } catch (error) {
    await writer.flush();
    throw faultFromUnknown(error, `load ${file}`);
  }
  await flush(writer, { topic, rows });
  yield { rows, bytes, ...total };
}

/** Up to the first row that the format cannot hold. */
function encodedRows(
  records: readonly NewRecord[],
  rowsBefore: number,
  { encode, file }: ProduceOptions,
): { readonly records: readonly NewRecord[]; readonly bad?: Fault } {
  if (encode === undefined) return { records };
  const encoded: NewRecord[] = [];
  for (const record of records) {
    try {
      encoded.push({ ...record, value: record.value === null ? null : encode(record.value) });
    } catch (error) {
      if (!(error instanceof RowReject)) throw error;
      return { records: encoded, bad: badRow(file, rowsBefore + encoded.length + 1, error.reason) };
    }
  }
  return { records: encoded };
}

function openSource(options: ProduceOptions): Promise<RowSource> | RowSource {
  const { file, keyColumns = [], limit } = options;
  const format = inputFormatOf(file, options.format);
  const choice = { file, keyColumns, timestamp: timestampChoice(options) };
  return format === "jsonl" ? openJsonLines(choice, limit) : openTable(format, choice, limit);
}

function timestampChoice({ timestampColumn, fixedTimestampMs, clock }: ProduceOptions): TimestampChoice {
  if (timestampColumn !== undefined) return { kind: "column", column: timestampColumn };
  return { kind: "fixed", timestampMs: fixedTimestampMs ?? clock.now() };
}

function heldRecords(
  { resume, log, signal }: ProduceOptions,
  topic: TopicDescription,
): Promise<HeldRecords> | HeldRecords {
  if (resume !== true) return HeldRecords.none(topic);
  assert(log !== undefined, "a load can be resumed only where the log can be read");
  return HeldRecords.read(log, topic, signal ?? new AbortController().signal);
}

interface Placing {
  /** Rows of the file before these. */
  readonly rowsBefore: number;
  readonly partitions: number;
  readonly held: HeldRecords;
}

/** For each partition, its records that it does not hold yet. */
function placeRecords(records: readonly NewRecord[], { rowsBefore, partitions, held }: Placing): NewRecord[][] {
  const places: NewRecord[][] = Array.from({ length: partitions }, () => []);
  for (const [i, record] of records.entries()) {
    const partition = partitionOf(record.key, rowsBefore + i, partitions);
    if (!held.pass(partition, record)) places[partition]!.push(record);
  }
  return places;
}

function flush(writer: LogWriter, facts: { readonly topic: string; readonly rows: number }): Promise<void> {
  return step("produce", "flush", { ...facts }, () => writer.flush());
}

function checkOptions({ file, limit, timestampColumn, fixedTimestampMs }: ProduceOptions): void {
  const refuse = (what: string) => new Fault("invalid-request", `load ${file}: ${what}`);
  if (limit !== undefined && !(Number.isSafeInteger(limit) && limit >= 0)) {
    throw refuse(`limit ${limit} is not a whole number from 0 on`);
  }
  if (timestampColumn !== undefined && fixedTimestampMs !== undefined) {
    throw refuse("a timestamp column and a fixed timestamp cannot both be given");
  }
  if (fixedTimestampMs === undefined) return;
  const problem = recordProblem(fixedTimestampMs, 0);
  if (problem !== undefined) throw refuse(problem);
}

async function checkFile(file: string): Promise<void> {
  try {
    if ((await stat(file)).isFile()) return;
  } catch (error) {
    throw new Fault(
      "bad-input-file",
      `load ${file}: ${error instanceof Error ? error.message : String(error)}`,
      {},
      error,
    );
  }
  throw new Fault("bad-input-file", `load ${file}: not a file`);
}
