import {
  BIGINT,
  BLOB,
  type DuckDBAppender,
  DuckDBBlobValue,
  DuckDBDataChunk,
  DuckDBDecimal64Vector,
  DuckDBDecimalType,
  DuckDBDecimalValue,
  type DuckDBType,
  type DuckDBVector,
  INTEGER,
  VARCHAR,
} from "@duckdb/node-api";
import type { StoredColumn } from "./duckdb-schema.ts";
import type { DecodedRecord, RejectedRecord, StoreValue } from "./shard-store.ts";

/** DuckDB's own vector size: a chunk cannot hold more. */
const CHUNK_ROWS = 2048;

/** A table's rows as its columns see them. */
export interface AppendedRows {
  readonly count: number;
  readonly types: readonly DuckDBType[];
  /** Reads one column of any row; asked for once a column and chunk, so that reading a value is one plain call. */
  readonly column: (index: number) => (row: number) => StoreValue;
}

/** Hidden columns first, as `storedColumns` lists them. */
export function recordRows(columns: readonly StoredColumn[], records: readonly DecodedRecord[]): AppendedRows {
  return {
    count: records.length,
    types: columns.map((column) => column.type),
    column(index) {
      if (index === 0) return (row) => records[row]!.partition;
      if (index === 1) return (row) => records[row]!.offset;
      if (index === 2) return (row) => records[row]!.tombstone;
      return (row) => records[row]!.values[index - 3]!;
    },
  };
}

/** In the order of `meta.rejects`. */
export function rejectRows(rejects: readonly RejectedRecord[]): AppendedRows {
  return {
    count: rejects.length,
    types: [VARCHAR, INTEGER, BIGINT, BIGINT, VARCHAR, BLOB, BLOB],
    column(index) {
      const names = ["topic", "partition", "offset", "timestampMs", "reason", "key", "value"] as const;
      const name = names[index]!;
      if (name === "timestampMs") return (row) => BigInt(Math.trunc(rejects[row]!.timestampMs));
      return (row) => rejects[row]![name];
    },
  };
}

/**
 * Appends rows column by column straight into DuckDB's vectors, several times as fast as value by value through the
 * appender. Yields between chunks, so that the caller can give others a turn of the event loop.
 */
export function* appendRows(appender: DuckDBAppender, rows: AppendedRows): Generator<void> {
  // One chunk for all: a chunk's memory is not JavaScript's and is given back only when its handle happens to be collected.
  const chunk = DuckDBDataChunk.create(rows.types);
  for (let start = 0; start < rows.count; start += CHUNK_ROWS) {
    const count = Math.min(CHUNK_ROWS, rows.count - start);
    chunk.reset();
    chunk.rowCount = count;
    for (let column = 0; column < rows.types.length; column++) {
      fill(chunk.getColumnVector(column), rows.column(column), start, count);
    }
    appender.appendDataChunk(chunk);
    yield;
  }
}

function fill(vector: DuckDBVector, valueAt: (row: number) => StoreValue, start: number, count: number): void {
  const set = setter(vector);
  for (let i = 0; i < count; i++) {
    const value = valueAt(start + i);
    if (value === null) vector.setItem(i, null);
    else set(i, value);
  }
  vector.flush();
}

function setter(vector: DuckDBVector): (row: number, value: NonNullable<StoreValue>) => void {
  const { type } = vector;
  if (type instanceof DuckDBDecimalType) {
    if (vector instanceof DuckDBDecimal64Vector) {
      const view = (vector as unknown as { dataView: DataView }).dataView;
      return (row, value) => view.setBigInt64(row * 8, value as bigint, true);
    }
    return (row, value) => vector.setItem(row, new DuckDBDecimalValue(value as bigint, type.width, type.scale));
  }
  // Vectors of fixed width show their typed array, in the representation of StoreValue: days, microseconds, integers.
  const items = (vector as unknown as { items?: (number | bigint)[] }).items;
  if (items !== undefined) {
    return (row, value) => {
      items[row] = value as number | bigint;
    };
  }
  return (row, value) => vector.setItem(row, value instanceof Uint8Array ? new DuckDBBlobValue(value) : value);
}
