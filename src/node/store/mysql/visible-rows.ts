import type { Cut } from "../../../mesh/cut.ts";
import type { TableSpec } from "../../../mesh/table-spec.ts";
import { qualified, quoted } from "../../../mysql/quote.ts";
import { HIDDEN } from "./mysql-schema.ts";

/**
 * The statement that selects a table's own columns of what is visible at a cut, or of what [from, to) adds. It names
 * positions and nothing else, so it means the same rows for ever: it needs no transaction, and a view of it is a snapshot.
 */
export function visibleRows(database: string, table: TableSpec, from: Cut, to: Cut): string {
  const columns = table.columns.map(({ name }) => quoted(name)).join(", ");
  if (table.kind === "Append") {
    return `SELECT ${columns} FROM ${qualified(database, table.name)} WHERE ${between(from, to)}`;
  }
  const newest = newestRecords(database, table, from, to, [HIDDEN.tombstone, ...table.columns.map(({ name }) => name)]);
  return `SELECT ${columns} FROM (${newest}) AS \`skynetes:newest\` WHERE ${quoted(HIDDEN.tombstone)} = 0`;
}

/** The records of [from, to) that a segment is made of, with all that tells them apart: `columns` in that order. */
export function recordsBetween(
  database: string,
  table: TableSpec,
  from: Cut,
  to: Cut,
  columns: readonly string[],
): string {
  if (table.kind === "Upsert") return newestRecords(database, table, from, to, columns);
  // One partition's rows lie in this order already; it makes equal content mostly equal files.
  return (
    `SELECT ${columns.map(quoted).join(", ")} FROM ${qualified(database, table.name)} WHERE ${between(from, to)} ` +
    `ORDER BY ${quoted(HIDDEN.partition)}, ${quoted(HIDDEN.offset)}`
  );
}

/** Of each key, tombstones too. With several partitions a key is another one in each, as on every store. */
function newestRecords(database: string, table: TableSpec, from: Cut, to: Cut, columns: readonly string[]): string {
  const list = columns.map(quoted).join(", ");
  const key = [HIDDEN.key, ...(to.length > 1 ? [HIDDEN.partition] : [])].map(quoted).join(", ");
  return (
    `SELECT ${list} FROM (SELECT ${list}, ` +
    `ROW_NUMBER() OVER (PARTITION BY ${key} ORDER BY ${quoted(HIDDEN.offset)} DESC) AS \`skynetes:age\` ` +
    `FROM ${qualified(database, table.name)} WHERE ${between(from, to)}) AS \`skynetes:history\` WHERE \`skynetes:age\` = 1`
  );
}

function between(from: Cut, to: Cut): string {
  const [partition, offset] = [quoted(HIDDEN.partition), quoted(HIDDEN.offset)];
  const partitions = to.map((position) => {
    const start = from.find((p) => p.partition === position.partition)?.position ?? 0n;
    const lower = start > 0n ? ` AND ${offset} >= ${start}` : "";
    return `(${partition} = ${position.partition}${lower} AND ${offset} < ${position.position})`;
  });
  return partitions.length === 0 ? "1 = 0" : `(${partitions.join(" OR ")})`;
}
