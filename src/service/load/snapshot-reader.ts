/** One shard of one snapshot, as a service's `load` sees it: its content and nothing else. */
export interface SnapshotReader {
  readonly shard: number;
  readonly tables: readonly { readonly name: string; readonly rows: bigint; readonly columns: readonly string[] }[];
  /**
   * The visible rows of a table, each once, in no promised order, as batches of the columns asked for.
   * Fault `invalid-request`: no such table or column.
   */
  scan(table: string, columns: readonly string[]): AsyncIterable<ColumnBatch>;
}

/**
 * Rows as columns. `columns[i]` belongs to the i-th name asked for; its values by type: BOOLEAN Uint8Array, INT32 and
 * DATE (days since 1970) Int32Array, INT64 and TIMESTAMP (microseconds since 1970) BigInt64Array, DOUBLE Float64Array,
 * STRING `string[]`, BYTES `Uint8Array[]`, DECIMAL `bigint[]` (unscaled).
 */
export interface ColumnBatch {
  readonly rows: number;
  readonly columns: readonly Column[];
}

export interface Column {
  readonly values:
    | Uint8Array
    | Int32Array
    | BigInt64Array
    | Float64Array
    | readonly string[]
    | readonly Uint8Array[]
    | readonly bigint[];
  /** 1 where the value is null (and `values` holds a filler); absent when no value is. */
  readonly nulls?: Uint8Array;
}
