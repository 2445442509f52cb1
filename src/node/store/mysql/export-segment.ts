import { type DuckDBConnection, DuckDBInstance } from "@duckdb/node-api";
import type { ColumnType } from "../../../mesh/column-type.ts";
import type { TableSpec } from "../../../mesh/table-spec.ts";
import { copyToDuckDb } from "../../../mysql/copy-to-duckdb.ts";
import type { Row } from "../../../mysql/mysql-pool.ts";
import { createSchema } from "../duckdb-schema.ts";
import { HIDDEN } from "./mysql-schema.ts";

export interface ExportLimits {
  readonly memoryLimit: string;
  readonly threads: number;
  readonly temporaryDirectory: string;
}

/** What a DuckDB store holds of each row, in that order. */
export function stagedColumns(table: TableSpec): readonly { readonly name: string; readonly type: ColumnType }[] {
  return [
    { name: HIDDEN.partition, type: "INT32" },
    { name: HIDDEN.offset, type: "INT64" },
    { name: HIDDEN.tombstone, type: "BOOLEAN" },
    ...table.columns,
  ];
}

/**
 * Runs `write` on a DuckDB that lives as long as that takes and holds `rows` as a DuckDB store would: so segments are
 * written by one code, whatever the store.
 */
export async function withStagedRows<T>(
  table: TableSpec,
  rows: AsyncIterable<Row> | undefined,
  limits: ExportLimits,
  write: (connection: DuckDBConnection) => Promise<T>,
): Promise<T> {
  const instance = await DuckDBInstance.create(":memory:", {
    threads: String(limits.threads),
    memory_limit: limits.memoryLimit,
    temp_directory: limits.temporaryDirectory,
    autoinstall_known_extensions: "false",
    autoload_known_extensions: "false",
    enable_external_file_cache: "false",
  });
  try {
    const connection = await instance.connect();
    await createSchema(connection, [table]);
    if (rows !== undefined) {
      await copyToDuckDb(rows, stagedColumns(table), await connection.createAppender(table.name, "rows"));
    }
    return await write(connection);
  } finally {
    instance.closeSync();
  }
}
