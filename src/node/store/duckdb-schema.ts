import {
  BIGINT,
  BLOB,
  BOOLEAN,
  DATE,
  DECIMAL,
  DOUBLE,
  type DuckDBConnection,
  type DuckDBType,
  INTEGER,
  TIMESTAMP,
  VARCHAR,
} from "@duckdb/node-api";
import { Fault } from "../../fault/fault.ts";
import type { ColumnType } from "../../mesh/column-type.ts";
import { columnKind } from "../../mesh/column-type.ts";
import type { TableSpec } from "../../mesh/table-spec.ts";
import { describeTable } from "./describe-table.ts";
import { RESERVED_COLUMNS } from "./reserved-columns.ts";

/**
 * The tables of one shard's database. A user's table lies in schema `rows` and has three columns of ours before its own:
 * the log position that made each row, and whether the row removes its key. No column is NOT NULL, since a tombstone has
 * values for its key alone; the decoder has checked what is.
 */
export const HIDDEN = { partition: "skynetes:partition", offset: "skynetes:offset", tombstone: "skynetes:tombstone" };

export async function createSchema(connection: DuckDBConnection, tables: readonly TableSpec[]): Promise<void> {
  await connection.run("CREATE SCHEMA IF NOT EXISTS meta; CREATE SCHEMA IF NOT EXISTS rows");
  // One row per committed batch, never updated: an UPDATE beside a reader keeps DuckDB from checkpointing. The key makes
  // two writers that continue from the same position conflict.
  await connection.run(`CREATE TABLE IF NOT EXISTS meta.positions (
    topic VARCHAR, topic_id VARCHAR, partition INTEGER, from_position BIGINT, to_position BIGINT,
    PRIMARY KEY (topic, partition, from_position))`);
  await connection.run(`CREATE TABLE IF NOT EXISTS meta.rejects (
    topic VARCHAR, partition INTEGER, "offset" BIGINT, timestamp_ms BIGINT, reason VARCHAR, key BLOB, value BLOB)`);
  await connection.run("CREATE TABLE IF NOT EXISTS meta.tables (name VARCHAR PRIMARY KEY, description VARCHAR)");
  for (const table of tables) {
    checkNames(table);
    const columns = storedColumns(table).map(({ name, sqlType }) => `${identifier(name)} ${sqlType}`);
    await connection.run(`CREATE TABLE IF NOT EXISTS ${tableName(table.name)} (${columns.join(", ")})`);
    await checkColumns(connection, table);
    await checkDescription(connection, table);
  }
}

/** Segments are read with DuckDB's own columns beside the table's. */
export function checkNames({ name, columns }: TableSpec): void {
  const taken = columns.find((column) => RESERVED_COLUMNS.includes(column.name.toLowerCase()));
  if (taken === undefined) return;
  throw new Fault("invalid-manifest", `open table "${name}": a column cannot have the name "${taken.name}"`);
}

/**
 * What a row means depends on more than its columns' names and types: on the topic it came from, on what its key is. Kept
 * from the first opening on; only after the table is there, so that a description never stands for no table.
 */
async function checkDescription(connection: DuckDBConnection, table: TableSpec): Promise<void> {
  const described = describeTable(table);
  await connection.run("INSERT INTO meta.tables VALUES ($1, $2) ON CONFLICT DO NOTHING", [table.name, described]);
  const found = await connection.runAndReadAll("SELECT description FROM meta.tables WHERE name = $1", [table.name]);
  const built = found.getRows()[0]![0] as string;
  if (built === described) return;
  throw new Fault(
    "invalid-manifest",
    `open table "${table.name}": the manifest describes ${described}, the store was built with ${built}`,
  );
}

/** A table that is described otherwise than it was built would be read wrongly; there is no migration to guess. */
async function checkColumns(connection: DuckDBConnection, table: TableSpec): Promise<void> {
  const found = await connection.runAndReadAll(
    "SELECT column_name, data_type FROM duckdb_columns() WHERE schema_name = 'rows' AND table_name = $1 ORDER BY column_index",
    [table.name],
  );
  const built = found.getRows().map(([name, type]) => `${name} ${type}`);
  const described = storedColumns(table).map(({ name, sqlType }) => `${name} ${sqlType}`);
  if (built.join() === described.join()) return;
  throw new Fault(
    "invalid-manifest",
    `open table "${table.name}": the manifest has the columns (${described.slice(3).join(", ")}), ` +
      `the store was built with (${built.slice(3).join(", ")})`,
  );
}

export interface StoredColumn {
  readonly name: string;
  readonly sqlType: string;
  readonly type: DuckDBType;
}

/** Hidden columns first, then the table's own. */
export function storedColumns(table: TableSpec): readonly StoredColumn[] {
  return [
    { name: HIDDEN.partition, sqlType: "INTEGER", type: INTEGER },
    { name: HIDDEN.offset, sqlType: "BIGINT", type: BIGINT },
    { name: HIDDEN.tombstone, sqlType: "BOOLEAN", type: BOOLEAN },
    ...table.columns.map(({ name, type }) => ({ name, ...duckdbType(type) })),
  ];
}

function duckdbType(type: ColumnType): { sqlType: string; type: DuckDBType } {
  const kind = columnKind(type);
  switch (kind.kind) {
    case "BOOLEAN":
      return { sqlType: "BOOLEAN", type: BOOLEAN };
    case "INT32":
      return { sqlType: "INTEGER", type: INTEGER };
    case "INT64":
      return { sqlType: "BIGINT", type: BIGINT };
    case "DOUBLE":
      return { sqlType: "DOUBLE", type: DOUBLE };
    case "STRING":
      return { sqlType: "VARCHAR", type: VARCHAR };
    case "BYTES":
      return { sqlType: "BLOB", type: BLOB };
    case "DATE":
      return { sqlType: "DATE", type: DATE };
    case "TIMESTAMP":
      return { sqlType: "TIMESTAMP", type: TIMESTAMP };
    case "DECIMAL":
      return { sqlType: type, type: DECIMAL(kind.precision, kind.scale) };
    default:
      kind satisfies never;
      throw new TypeError(`no DuckDB type for ${type}`);
  }
}

export function tableName(table: string): string {
  return `rows.${identifier(table)}`;
}

export function identifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

export function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
