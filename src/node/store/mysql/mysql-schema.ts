import { Fault } from "../../../fault/fault.ts";
import { columnKind } from "../../../mesh/column-type.ts";
import type { MySqlDialect } from "../../../mesh/store-spec.ts";
import type { TableSpec } from "../../../mesh/table-spec.ts";
import { qualified, quoted } from "../../../mysql/quote.ts";
import { storedType } from "../../../mysql/stored-column.ts";

/**
 * The databases of one shard on one node. Views lie apart from rows, so that a user who may read views may read nothing
 * else. No name of a table, which is letters, digits and `_`, can be one of ours.
 */
export interface ShardDatabases {
  readonly data: string;
  readonly view: string;
}

const NAME_MAX = 64;

/** Fault `invalid-manifest`: the names do not fit. */
export function shardDatabases(database: string, node: string, shard: number): ShardDatabases {
  const names = { data: `${database}_data_${node}_${shard}`, view: `${database}_view_${node}_${shard}` };
  if (names.data.length > NAME_MAX) {
    throw new Fault("invalid-manifest", `name database "${names.data}": at most ${NAME_MAX} characters are allowed`);
  }
  return names;
}

/** The log position that made a row, whether it removes its key, and in upsert tables the SHA-256 of the key. */
export const HIDDEN = {
  partition: "skynetes:partition",
  offset: "skynetes:offset",
  tombstone: "skynetes:tombstone",
  key: "skynetes:key",
};

export const META = { positions: "skynetes:positions", rejects: "skynetes:rejects", tables: "skynetes:tables" };

/** In the order of their parameters. */
export function storedColumns(table: TableSpec): readonly string[] {
  const key = table.kind === "Upsert" ? [HIDDEN.key] : [];
  return [HIDDEN.partition, HIDDEN.offset, HIDDEN.tombstone, ...key, ...table.columns.map(({ name }) => name)];
}

/** Statements that make what is missing; each can be repeated. */
export function schemaStatements(
  dialect: MySqlDialect,
  { data, view }: ShardDatabases,
  tables: readonly TableSpec[],
): readonly string[] {
  return [
    ...[data, view].map((name) => `CREATE DATABASE IF NOT EXISTS ${quoted(name)}`),
    ...metaTables(dialect, data),
    ...tables.map((table) => createTable(dialect, data, table)),
  ];
}

/** Views first, since they speak of the rows. */
export function dropDatabases({ data, view }: ShardDatabases): readonly string[] {
  return [view, data].map((name) => `DROP DATABASE IF EXISTS ${quoted(name)}`);
}

function metaTables(dialect: MySqlDialect, data: string): string[] {
  const own = dialect === "MySQL";
  const create = own ? "CREATE TABLE IF NOT EXISTS" : "CREATE ROWSTORE TABLE IF NOT EXISTS";
  const end = own ? ") ENGINE = InnoDB" : ")";
  const shardKey = (columns: string) => (own ? "" : `,\n  SHARD KEY (${columns})`);
  const text = (length: number) => `VARCHAR(${length}) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin`;
  return [
    // A row for each commit. Its key lets only one of several writers go on from a position.
    `${create} ${qualified(data, META.positions)} (
  \`topic\` ${text(249)} NOT NULL,
  \`partition\` INT NOT NULL,
  \`from_position\` BIGINT NOT NULL,
  \`to_position\` BIGINT NOT NULL,
  \`topic_id\` ${text(255)} NOT NULL,
  PRIMARY KEY (\`topic\`, \`partition\`, \`from_position\`)${shardKey("`topic`, `partition`")}
${end}`,
    `${create} ${qualified(data, META.rejects)} (
  \`topic\` ${text(249)} NOT NULL,
  \`partition\` INT NOT NULL,
  \`offset\` BIGINT NOT NULL,
  \`timestamp_ms\` BIGINT NOT NULL,
  \`reason\` LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  \`key\` LONGBLOB,
  \`value\` LONGBLOB,
  PRIMARY KEY (\`topic\`, \`partition\`, \`offset\`)${shardKey("`topic`, `partition`")}
${end}`,
    `${create} ${qualified(data, META.tables)} (
  \`name\` ${text(64)} NOT NULL,
  \`description\` LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  PRIMARY KEY (\`name\`)${shardKey("`name`")}
${end}`,
  ];
}

/** No column of the table's own is NOT NULL: a tombstone has values for its key alone. */
function createTable(dialect: MySqlDialect, data: string, table: TableSpec): string {
  checkDecimals(dialect, table);
  const keyColumn = table.kind === "Upsert" ? [`  ${quoted(HIDDEN.key)} BINARY(32) NOT NULL`] : [];
  const { kind, keys } = layoutOf(dialect, table);
  const lines = [
    `  ${quoted(HIDDEN.partition)} INT NOT NULL`,
    `  ${quoted(HIDDEN.offset)} BIGINT NOT NULL`,
    `  ${quoted(HIDDEN.tombstone)} TINYINT NOT NULL`,
    ...keyColumn,
    ...table.columns.map(({ name, type }) => `  ${quoted(name)} ${storedType(type, dialect)}`),
    ...keys.map((key) => `  ${key}`),
  ];
  const end = dialect === "MySQL" ? ") ENGINE = InnoDB ROW_FORMAT = DYNAMIC" : ")";
  return `CREATE ${kind} IF NOT EXISTS ${qualified(data, table.name)} (\n${lines.join(",\n")}\n${end}`;
}

/**
 * On SingleStore: rows that are only appended lie in a columnstore, ordered as they came; those that are looked for by
 * key in a rowstore, a key's history on one of its partitions; and small tables that all know on every leaf.
 */
function layoutOf(dialect: MySqlDialect, table: TableSpec): { kind: string; keys: string[] } {
  const position = `(${quoted(HIDDEN.partition)}, ${quoted(HIDDEN.offset)})`;
  const history = `(${quoted(HIDDEN.key)}, ${quoted(HIDDEN.offset)}, ${quoted(HIDDEN.partition)})`;
  if (dialect === "MySQL") {
    const newest = table.kind === "Upsert" ? [`KEY \`skynetes:newest\` ${history}`] : [];
    return { kind: "TABLE", keys: [`PRIMARY KEY ${position}`, ...newest] };
  }
  if (table.distribution === "Broadcast") {
    return { kind: "ROWSTORE REFERENCE TABLE", keys: [`PRIMARY KEY ${table.kind === "Upsert" ? history : position}`] };
  }
  if (table.kind === "Upsert") {
    return { kind: "ROWSTORE TABLE", keys: [`PRIMARY KEY ${history}`, `SHARD KEY (${quoted(HIDDEN.key)})`] };
  }
  return {
    kind: "TABLE",
    keys: [`SORT KEY ${position}`, `SHARD KEY ${position}`, `UNIQUE KEY \`skynetes:position\` ${position} USING HASH`],
  };
}

const SINGLESTORE_SCALE_MAX = 30;

function checkDecimals(dialect: MySqlDialect, table: TableSpec): void {
  for (const { name, type } of table.columns) {
    const kind = columnKind(type);
    if (dialect === "MySQL" || kind.kind !== "DECIMAL" || kind.scale <= SINGLESTORE_SCALE_MAX) continue;
    throw new Fault(
      "invalid-manifest",
      `create column "${table.name}.${name}" of ${type}: SingleStore has at most ${SINGLESTORE_SCALE_MAX} places`,
    );
  }
}
