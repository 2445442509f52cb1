import {
  BIGINT,
  BLOB,
  BOOLEAN,
  DATE,
  DECIMAL,
  DOUBLE,
  type DuckDBAppender,
  DuckDBDataChunk,
  type DuckDBType,
  type DuckDBValue,
  INTEGER,
  TIMESTAMP,
  VARCHAR,
} from "@duckdb/node-api";
import { type ColumnType, columnKind } from "../mesh/column-type.ts";
import type { ColumnSpec } from "../mesh/table-spec.ts";
import { nextTurn } from "../process/turn.ts";
import type { Row } from "./mysql-pool.ts";
import { duckDbReader } from "./stored-column.ts";

/** DuckDB's own vector size. */
const CHUNK_ROWS = 2048;

/**
 * Appends rows of a MySQL table to a DuckDB table of the same columns, some thousand at a time. DuckDB spills what does not
 * fit in its memory. Closes the appender.
 */
export async function copyToDuckDb(
  rows: AsyncIterable<Row>,
  columns: readonly Pick<ColumnSpec, "name" | "type">[],
  appender: DuckDBAppender,
): Promise<void> {
  const types = columns.map(({ type }) => duckDbType(type));
  const readers = columns.map(({ type }) => duckDbReader(type));
  // One chunk for all: its memory is given back only when its handle happens to be collected.
  const chunk = DuckDBDataChunk.create(types);
  let values = columns.map((): DuckDBValue[] => []);
  const append = async () => {
    const count = values[0]?.length ?? 0;
    if (count === 0) return;
    chunk.reset();
    chunk.setColumns(values);
    appender.appendDataChunk(chunk);
    values = columns.map(() => []);
    await nextTurn();
  };
  try {
    for await (const row of rows) {
      for (let i = 0; i < readers.length; i++) {
        const stored = row[i] ?? null;
        values[i]!.push(stored === null ? null : readers[i]!(stored));
      }
      if (values[0]!.length === CHUNK_ROWS) await append();
    }
    await append();
  } finally {
    appender.closeSync();
  }
}

export function duckDbType(type: ColumnType): DuckDBType {
  const kind = columnKind(type);
  switch (kind.kind) {
    case "BOOLEAN":
      return BOOLEAN;
    case "INT32":
      return INTEGER;
    case "INT64":
      return BIGINT;
    case "DOUBLE":
      return DOUBLE;
    case "STRING":
      return VARCHAR;
    case "BYTES":
      return BLOB;
    case "DATE":
      return DATE;
    case "TIMESTAMP":
      return TIMESTAMP;
    case "DECIMAL":
      return DECIMAL(kind.precision, kind.scale);
    default:
      kind satisfies never;
      throw new TypeError(`no DuckDB type for ${type}`);
  }
}
