import { Fault } from "../fault/fault.ts";
import type { NewRecord } from "../log/log.ts";
import { recordProblem } from "../log/record-limits.ts";

/** What of a row becomes key and timestamp. */
export interface RowChoice {
  readonly file: string;
  /** None: records have no key and go round the partitions. */
  readonly keyColumns: readonly string[];
  readonly timestamp: TimestampChoice;
}

export type TimestampChoice =
  | { readonly kind: "column"; readonly column: string }
  | { readonly kind: "fixed"; readonly timestampMs: number };

/** Rows turned into records, in the file's order. */
export interface RowBatch {
  readonly records: readonly NewRecord[];
}

export interface RowSource {
  /** Where the format tells it without reading all. */
  readonly totalRows?: number;
  /** Throws `bad-input-file` at a bad row, after having given every row before it. */
  readonly batches: AsyncIterable<RowBatch>;
}

/** Row numbers count from 1, the header line of a CSV file not included. */
export function badRow(file: string, row: number, what: string): Fault {
  return new Fault("bad-input-file", `load ${file}: row ${row}: ${what}`);
}

/** What other than key and value a record is counted with: more than any log needs. */
const RECORD_OVERHEAD_BYTES = 64;

/** What keeps the log from taking this record. */
export function rowProblem({
  timestampMs,
  key,
  value,
}: Pick<NewRecord, "timestampMs" | "key" | "value">): string | undefined {
  return recordProblem(timestampMs, (key?.length ?? 0) + (value?.length ?? 0) + RECORD_OVERHEAD_BYTES);
}

/** Fault `bad-input-file` naming the columns there are. */
export function checkColumns(choice: RowChoice, columns: readonly string[]): void {
  const { timestamp, keyColumns, file } = choice;
  const wanted = timestamp.kind === "column" ? [...keyColumns, timestamp.column] : keyColumns;
  for (const column of wanted) {
    if (columns.includes(column)) continue;
    throw new Fault("bad-input-file", `load ${file}: no column "${column}", only ${columns.join(", ")}`);
  }
}
