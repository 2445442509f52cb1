import { Fault } from "../../fault/fault.ts";
import type { ColumnType } from "../../mesh/column-type.ts";
import { copyToDuckDb, duckDbType } from "../../mysql/copy-to-duckdb.ts";
import type { MySqlPool } from "../../mysql/mysql-pool.ts";
import { qualified, quoted } from "../../mysql/quote.ts";
import { describeRows, rowsContent } from "../../mysql/rows-content.ts";
import type { ShardManifest, ShardViews, TableManifest } from "../../wire/generated/skynetes/v1/seal_pb.ts";
import type { TableSource } from "./table-source.ts";

/**
 * A shard's views on a database server, read as a user who may read views alone. The server digests every row of each
 * before one is used; a view names positions, so what is read after that is the same.
 *
 * A scan copies its columns into the load's DuckDB, which spills what does not fit, and goes on as from files: so batches,
 * dictionaries and order are those of a scan of segments, and no order is left to a server that looks at the first kilobyte
 * of a text only (MariaDB's `max_sort_length`).
 * Fault `data-corrupt`, naming the view.
 */
export async function viewSource(manifest: ShardManifest, views: ShardViews, server: MySqlPool): Promise<TableSource> {
  const names = new Map(views.tables.map(({ table, view }) => [table, qualified(views.database, view)]));
  const viewOf = (table: TableManifest): string => {
    const name = names.get(table.name);
    if (name !== undefined) return name;
    throw new Fault("data-corrupt", `manifest of "${manifest.snapshot}": it names no view of table "${table.name}"`);
  };
  for (const table of manifest.tables) await verifyView(server, viewOf(table), table);
  return {
    contentNames: (table) => [`${table.name} ${table.rows} ${table.digest}`],
    async relation(table, columns, connection) {
      if (table.rows === 0n) return undefined;
      const chosen = columnsOf(table).filter(({ name }) => columns.includes(name));
      const select = `SELECT ${chosen.map(({ name }) => quoted(name)).join(", ")} FROM ${viewOf(table)}`;
      const rows = server.stream(`scan table "${table.name}"`, select);
      const definitions = chosen.map(({ name, type }) => `"${name}" ${duckDbType(type)}`);
      await connection.run(`CREATE TEMP TABLE scanned (${definitions.join(", ")})`);
      await copyToDuckDb(rows, chosen, await connection.createAppender("scanned", "main", "temp"));
      return "scanned";
    },
  };
}

async function verifyView(server: MySqlPool, view: string, table: TableManifest): Promise<void> {
  const columns = columnsOf(table);
  const [row] = await server.run(`digest view ${view}`, describeRows(table.name, columns, view));
  const { rows, digest } = rowsContent(columns, row!);
  const found = digest.map((half) => half.toString(16).padStart(16, "0")).join("");
  if (rows === table.rows && found === table.digest) return;
  throw new Fault(
    "data-corrupt",
    `view ${view}: it shows ${rows} rows with digest ${found}, expected ${table.rows} with ${table.digest}`,
  );
}

function columnsOf(table: TableManifest) {
  return table.columns.map(({ name, type, nullable }) => ({ name, type: type as ColumnType, nullable }));
}
