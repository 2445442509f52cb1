import type { SecretSource } from "./log-spec.ts";

/** Where the shards of a mesh are stored, when it is not in files of their nodes: a server of the MySQL protocol. */
export interface MySqlSpec {
  readonly host: string;
  readonly port: number;
  /** Begins the name of every database: `<database>_data_<node>_<shard>` and `<database>_view_<node>_<shard>`. */
  readonly database: string;
  readonly dialect: MySqlDialect;
  /** Absent: the connection is not encrypted, which is for the same machine only. */
  readonly tls: { readonly ca: string | undefined } | undefined;
  readonly users: Readonly<Record<MySqlRole, MySqlUserSpec>>;
}

/** MySQL: MySQL 8 and MariaDB from 10.6 on, InnoDB. */
export type MySqlDialect = "MySQL" | "SingleStore";

/** bootstrap: makes databases, tables and views. ingest: reads and appends. service: reads views. */
export type MySqlRole = "bootstrap" | "ingest" | "service";

export interface MySqlUserSpec {
  readonly name: string;
  /** Never the secret itself. */
  readonly password: SecretSource;
}
