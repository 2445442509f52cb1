/** One shard of one snapshot, as a service's `load` sees it: its content and nothing else. */
export interface SnapshotReader {
  readonly shard: number;
  readonly tables: readonly SnapshotTable[];
  /**
   * The visible rows of a table, each once, as batches of the columns asked for. A batch and the arrays in it are valid
   * until the next one is taken: copy what the state keeps.
   * Fault `invalid-request`: no such table or column.
   */
  scan(table: string, columns: readonly string[], options?: ScanOptions): AsyncIterable<ColumnBatch>;
}

export interface SnapshotTable {
  readonly name: string;
  readonly rows: bigint;
  readonly columns: readonly string[];
}

export interface ScanOptions {
  /**
   * Columns to sort by, ascending, nulls last, strings by their UTF-8 bytes. The sort runs in the database's own
   * threads, so a state that wants sorted rows need not hold the event loop for it. Absent: no promised order.
   */
  readonly orderBy?: readonly string[];
}

/** Rows as columns; `columns[i]` belongs to the i-th name asked for. */
export interface ColumnBatch {
  readonly rows: number;
  readonly columns: readonly Column[];
}

/**
 * Values of one column by the column's type. `nulls[i]` is 1 where the value is null and `values` holds a filler;
 * `nulls` is absent when no value of the batch is null.
 */
export type Column = ColumnValues & { readonly nulls?: Uint8Array };

export type ColumnValues =
  /** 0 or 1. */
  | { readonly type: "BOOLEAN"; readonly values: Uint8Array }
  /** DATE: days since 1970-01-01. */
  | { readonly type: "INT32" | "DATE"; readonly values: Int32Array }
  /** TIMESTAMP: microseconds since 1970-01-01T00:00Z. */
  | { readonly type: "INT64" | "TIMESTAMP"; readonly values: BigInt64Array }
  | { readonly type: "DOUBLE"; readonly values: Float64Array }
  /**
   * The i-th value is `dictionary[codes[i]]`. A column of few distinct values has one dictionary for the whole scan (the
   * same array in every batch), so that a state can keep the codes and need not look at strings row by row; a column of
   * many has one for each batch.
   */
  | { readonly type: "STRING"; readonly codes: Codes; readonly dictionary: readonly string[] }
  | { readonly type: "BYTES"; readonly values: readonly Uint8Array[] }
  /** Unscaled: 12.50 of DECIMAL(9,2) is 1250n. */
  | { readonly type: "DECIMAL"; readonly values: readonly bigint[]; readonly scale: number };

export type Codes = Uint8Array | Uint16Array | Uint32Array;
