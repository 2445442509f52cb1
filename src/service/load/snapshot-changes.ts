import type { ColumnBatch, ScanOptions, SnapshotReader } from "./snapshot-reader.ts";

/**
 * What a service's `advance` sees: how the shard's content differs from that of the state it is given. Of the columns that
 * are asked for: a row whose other columns alone have changed is not among them, so ask for all that the state depends on.
 *
 * Batches are as a scan's: valid until the next one is taken, and never all in memory.
 */
export interface SnapshotChanges {
  /** The snapshot to bind, whole: for a table that is cheaper read anew than changed. */
  readonly snapshot: SnapshotReader;
  readonly tables: readonly ChangedTable[];
  /** Rows that are new; in an upsert table, those of keys that had no row. */
  added(table: string, columns: readonly string[], options?: ScanOptions): AsyncIterable<ColumnBatch>;
  /** Rows that are no more; in an upsert table, those of keys that have no row any more. */
  removed(table: string, columns: readonly string[], options?: ScanOptions): AsyncIterable<ColumnBatch>;
  /** Rows of upsert tables whose key has another row than before. Of append tables none: they lose and gain rows. */
  replaced(table: string, columns: readonly string[]): AsyncIterable<ReplacedRows>;
}

export interface ChangedTable {
  readonly name: string;
  /**
   * None: the table has the same rows. Added: there are only more. Any: rows may be gone or replaced too, as always in an
   * upsert table, in an append table when the state that is advanced is a later one or its files were written anew.
   */
  readonly change: "none" | "added" | "any";
}

/** The i-th row of `before` has become the i-th of `after`. */
export interface ReplacedRows {
  readonly rows: number;
  readonly before: ColumnBatch;
  readonly after: ColumnBatch;
}
