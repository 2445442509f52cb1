import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DuckDBInstance } from "@duckdb/node-api";
import { onTestFinished } from "vitest";
import type { ColumnType } from "../../src/mesh/column-type.ts";
import type { TableSpec } from "../../src/mesh/table-spec.ts";
import { visibleRows } from "../../src/service/load/visible-rows.ts";
import type { TableManifest } from "../../src/wire/generated/skynetes/v1/seal_pb.ts";

/** A directory that goes away with the test. */
export async function testDirectory(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "skynetes-node-"));
  onTestFinished(() => rm(path, { recursive: true, force: true }));
  return path;
}

/** `{ id: "INT64", name: "STRING?" }`: a question mark makes a column nullable. */
export function tableSpec(
  name: string,
  kind: TableSpec["kind"],
  columns: Record<string, string>,
  more: Partial<TableSpec> = {},
): TableSpec {
  return {
    name,
    topic: name,
    kind,
    distribution: "Sharded",
    key: [],
    columns: Object.entries(columns).map(([column, type]) => ({
      name: column,
      type: type.replace("?", "") as ColumnType,
      nullable: type.endsWith("?"),
    })),
    ...more,
  };
}

/** Rows of a table's segments, every value as text, sorted: read by another database than the one that wrote them. */
export async function rowsOfSegments(shardDirectory: string, table: TableManifest): Promise<string[]> {
  const source = visibleRows(table, (sha256) => join(shardDirectory, "segments", `${sha256}.parquet`));
  return source === undefined ? [] : rowsOf(source);
}

export function rowsOfFiles(paths: readonly string[]): Promise<string[]> {
  return rowsOf(`read_parquet([${paths.map((path) => `'${path}'`).join(", ")}])`);
}

async function rowsOf(source: string): Promise<string[]> {
  const instance = await DuckDBInstance.create(":memory:", { threads: "1" });
  const connection = await instance.connect();
  try {
    // Columns of ours beside the table's are no business of a reader.
    const found = await connection.runAndReadAll(`SELECT COLUMNS(c -> c NOT LIKE 'skynetes:%') FROM ${source}`);
    return found
      .getRowsJson()
      .map((row) => JSON.stringify(row))
      .sort();
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}
