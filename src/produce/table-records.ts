import type { DuckDBDataChunk } from "@duckdb/node-api";
import type { Fault } from "../fault/fault.ts";
import type { NewRecord } from "../log/log.ts";
import { BadValue, type ColumnReader, readColumn } from "./column-reader.ts";
import { JsonText } from "./json-text.ts";
import { badRow, type RowChoice, rowProblem } from "./row-choice.ts";
import type { TableColumn } from "./table-column.ts";

const NULL = Buffer.from("null");
const QUOTE = 0x22;
const COMMA = 0x2c;
const BRACKET_OPEN = 0x5b;
const BRACKET_CLOSE = 0x5d;
const BRACE_CLOSE = 0x7d;
const EMPTY_HEADERS: NewRecord["headers"] = Object.freeze([]);

export interface ChunkReading {
  readonly columns: readonly TableColumn[];
  /** What stands before each column's value: `{"date":`, `,"delay":`. */
  readonly labels: readonly Buffer[];
  readonly choice: RowChoice;
  /** The number of the chunk's first row. */
  readonly firstRow: number;
  /** What a value's length is expected to be. */
  readonly valueBytes: number;
}

/**
 * The records before the first bad row, and what is wrong with that one. Values lie one behind the other in one buffer;
 * keys may be views of the chunk: both are good as long as the chunk is.
 */
export function recordsOfChunk(chunk: DuckDBDataChunk, reading: ChunkReading): { records: NewRecord[]; fault?: Fault } {
  const { choice, columns, labels } = reading;
  const readers = columns.map((column, i) => readColumn(chunk, i, column.kind));
  const readerOf = (name: string) => readers[columns.findIndex((column) => column.name === name)]!;
  const keyOf = keyReader(choice.keyColumns.map(readerOf));
  const timestampOf = timestampReader(choice, readerOf);
  const text = new JsonText(chunk.rowCount * reading.valueBytes);
  // Values are cut from the buffer at the end: until then it may move.
  const drafts: { readonly key: Uint8Array | null; readonly timestampMs: number; readonly end: number }[] = [];
  let fault: Fault | undefined;
  for (let row = 0; row < chunk.rowCount; row++) {
    try {
      for (let i = 0; i < readers.length; i++) {
        text.raw(labels[i]!);
        writeValue(readers[i]!, row, text);
      }
      text.byte(BRACE_CLOSE);
      drafts.push({ key: keyOf(row), timestampMs: timestampOf(row), end: text.end });
    } catch (error) {
      if (!(error instanceof BadValue)) throw error;
      fault = badRow(choice.file, reading.firstRow + row, error.message);
      break;
    }
  }
  const records: NewRecord[] = [];
  let start = 0;
  for (const [i, { key, timestampMs, end }] of drafts.entries()) {
    const record = { timestampMs, key, value: text.bytes.subarray(start, end), headers: EMPTY_HEADERS };
    const problem = rowProblem(record);
    if (problem !== undefined) return { records, fault: badRow(choice.file, reading.firstRow + i, problem) };
    records.push(record);
    start = end;
  }
  return fault === undefined ? { records } : { records, fault };
}

function writeValue(column: ColumnReader, row: number, text: JsonText): void {
  if (column.isNull(row)) text.raw(NULL);
  else column.writeJson(row, text);
}

function keyReader(columns: readonly ColumnReader[]): (row: number) => Uint8Array | null {
  const [only, ...others] = columns;
  if (only === undefined) return () => null;
  if (others.length > 0) return (row) => compositeKey(columns, row);
  const { stringBytes } = only;
  if (stringBytes !== undefined) return (row) => (only.isNull(row) ? null : stringBytes(row));
  return (row) => {
    if (only.isNull(row)) return null;
    const text = new JsonText(32);
    only.writeJson(row, text);
    const written = text.bytes.subarray(0, text.end);
    return written[0] === QUOTE ? written.subarray(1, -1) : written;
  };
}

function compositeKey(columns: readonly ColumnReader[], row: number): Uint8Array {
  const text = new JsonText(64);
  for (const [i, column] of columns.entries()) {
    text.byte(i === 0 ? BRACKET_OPEN : COMMA);
    writeValue(column, row, text);
  }
  text.byte(BRACKET_CLOSE);
  return text.bytes.subarray(0, text.end);
}

function timestampReader({ timestamp }: RowChoice, readerOf: (name: string) => ColumnReader): (row: number) => number {
  if (timestamp.kind === "fixed") return () => timestamp.timestampMs;
  const reader = readerOf(timestamp.column);
  const { timestampMs } = reader;
  return (row) => {
    if (timestampMs === undefined) {
      throw new BadValue(`column "${timestamp.column}" is neither a timestamp, a date nor ISO 8601 text`);
    }
    if (reader.isNull(row)) throw new BadValue(`the timestamp column "${timestamp.column}" is null`);
    return timestampMs(row);
  };
}
