import type { TableSpec } from "../../mesh/table-spec.ts";
import type { MySqlLogin, MySqlServer } from "../../mysql/mysql-server.ts";
import { DuckDbShardStore } from "./duckdb-shard-store.ts";
import type { ShardStore } from "./shard-store.ts";

/** A database server that holds the stores of a node. */
export interface NodeDatabase {
  readonly server: MySqlServer;
  readonly bootstrap: MySqlLogin;
  readonly ingest: MySqlLogin;
  /** Begins the name of every database. */
  readonly name: string;
}

export interface StorePlace {
  readonly node: string;
  readonly shard: number;
  /** The shard's own. */
  readonly directory: string;
  readonly temporaryDirectory: string;
  /** Of a DuckDB store. */
  readonly file: string;
  /** Absent: a DuckDB file. */
  readonly database: NodeDatabase | undefined;
  /** Of the DuckDB that is the store, or that writes its segments. */
  readonly memoryLimit: string;
  readonly threads: number;
}

const DROP_MS = 60_000;

/** The one place that knows which kinds of store there are. Faults as of the stores' own `open`. */
export async function openShardStore(place: StorePlace, tables: readonly TableSpec[]): Promise<ShardStore> {
  const { memoryLimit, threads, temporaryDirectory, database } = place;
  const limits = { memoryLimit, threads, temporaryDirectory };
  if (database === undefined) return DuckDbShardStore.open(place.file, tables, limits);
  const { server, bootstrap, ingest, name } = database;
  // A node without a server need not load a client.
  const [{ MySqlShardStore }, { shardDatabases }] = await Promise.all([
    import("./mysql/mysql-shard-store.ts"),
    import("./mysql/mysql-schema.ts"),
  ]);
  const databases = shardDatabases(name, place.node, place.shard);
  return MySqlShardStore.open(tables, { ...limits, server, bootstrap, ingest, databases, directory: place.directory });
}

/** Takes away the databases of a shard whose store is closed. */
export async function dropShardStore(database: NodeDatabase, node: string, shard: number): Promise<void> {
  const [{ MySqlPool }, { dropDatabases, shardDatabases }] = await Promise.all([
    import("../../mysql/mysql-pool.ts"),
    import("./mysql/mysql-schema.ts"),
  ]);
  const pool = new MySqlPool(database.server, database.bootstrap, { connectionsMax: 1, statementMs: DROP_MS });
  try {
    for (const statement of dropDatabases(shardDatabases(database.name, node, shard))) {
      await pool.run(`drop the store of shard ${shard}`, statement);
    }
  } finally {
    await pool.close();
  }
}
