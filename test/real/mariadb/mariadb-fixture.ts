import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import mysql from "mysql2/promise";
import type { MySqlRole } from "../../../src/mesh/store-spec.ts";
import type { TableSpec } from "../../../src/mesh/table-spec.ts";
import type { MySqlLogin, MySqlServer } from "../../../src/mysql/mysql-server.ts";
import { shardDatabases } from "../../../src/node/store/mysql/mysql-schema.ts";
import { MySqlShardStore } from "../../../src/node/store/mysql/mysql-shard-store.ts";
import { MariaDbServer } from "./mariadb-server.ts";

const USERS = join(import.meta.dirname, "../../../deploy/mysql/users.sql");

/** A server with the users of `deploy/mysql/users.sql`, exactly as that file makes them. */
export async function mariaDbWithUsers(): Promise<MariaDbServer> {
  const server = await MariaDbServer.start();
  const root = await mysql.createConnection({ host: "127.0.0.1", port: server.port, user: "root" });
  const text = readFileSync(USERS, "utf8").replace(/^--.*$/gm, "");
  for (const statement of text.split(";").filter((part) => part.trim() !== "")) await root.query(statement);
  await root.end();
  return server;
}

export function serverOf({ port }: { readonly port: number }): MySqlServer {
  return { host: "127.0.0.1", port, dialect: "MySQL", tls: undefined };
}

export function loginOf(role: MySqlRole): MySqlLogin {
  return { user: `skynetes_${role}`, password: `${role}-password` };
}

/** Databases that belong to a directory, as those of a shard belong to its node. */
export function databasesOf(directory: string) {
  const node = createHash("sha256").update(directory).digest("hex").slice(0, 12);
  return shardDatabases("skynetes", node, 0);
}

export function openMySqlStore(
  server: { readonly port: number },
  directory: string,
  tables: readonly TableSpec[],
  place: string = directory,
): Promise<MySqlShardStore> {
  return MySqlShardStore.open(tables, {
    server: serverOf(server),
    bootstrap: loginOf("bootstrap"),
    ingest: loginOf("ingest"),
    databases: databasesOf(place),
    directory,
    memoryLimit: "256MB",
    threads: 1,
    temporaryDirectory: join(directory, "spill"),
  });
}
