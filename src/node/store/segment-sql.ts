import { columnKind } from "../../mesh/column-type.ts";
import type { Cut } from "../../mesh/cut.ts";
import type { ColumnSpec, TableSpec } from "../../mesh/table-spec.ts";
import { HIDDEN, identifier, literal, tableName } from "./duckdb-schema.ts";

/**
 * The statement whose result is a segment: base ⊕ tail, worked out from rows that each know their log position.
 *
 * Rows come in an order that depends on the log alone, so that equal content mostly makes equal files. One partition's
 * rows lie in the table in the order of their offsets already and need no sort, which would take memory for all of them.
 */
export function segmentSelect(table: TableSpec, from: Cut, to: Cut): string {
  const columns = table.columns.map((column) => identifier(column.name)).join(", ");
  const source = `${tableName(table.name)} WHERE ${between(from, to)}`;
  if (table.kind === "Append") {
    const order = to.length > 1 ? ` ORDER BY ${identifier(HIDDEN.partition)}, ${identifier(HIDDEN.offset)}` : "";
    return `SELECT ${columns} FROM ${source}${order}`;
  }
  const key = table.key.map(identifier).join(", ");
  // A key lies in one partition, so its newest record is the one with the greatest offset. Should a producer break that
  // rule, the partition decides, so that all replicas still agree.
  const newest = `row_number() OVER (PARTITION BY ${key} ORDER BY ${identifier(HIDDEN.offset)} DESC, ${identifier(HIDDEN.partition)})`;
  return (
    `SELECT ${columns} FROM (SELECT * FROM ${source} QUALIFY ${newest} = 1) ` +
    `WHERE NOT ${identifier(HIDDEN.tombstone)} ORDER BY ${key}`
  );
}

function between(from: Cut, to: Cut): string {
  const partitions = to.map((position) => {
    const start = from.find((p) => p.partition === position.partition)?.position ?? 0n;
    const lower = start > 0n ? ` AND ${identifier(HIDDEN.offset)} >= ${start}` : "";
    return (
      `(${identifier(HIDDEN.partition)} = ${position.partition}${lower} ` +
      `AND ${identifier(HIDDEN.offset)} < ${position.position})`
    );
  });
  return partitions.length === 0 ? "false" : `(${partitions.join(" OR ")})`;
}

/**
 * Rows, digest and statistics of a Parquet file in one pass. Columns of the result: rows, upper and lower half of the
 * digest's sum, then (nulls, min, max) of each column, all as text.
 *
 * The hash of a row is over the table's name and each value in the table's column order, each as `length:text` or `-` for
 * null, so that no two different rows make the same text. Their sum does not depend on the order of rows and can be
 * extended by later rows; modulo 2^64 it never overflows.
 */
export function describeSegment(table: TableSpec, path: string): string {
  const row = [literal(sized(table.name)), ...table.columns.map(canonical)].join(" || ");
  const half = (bits: string) => `CAST(coalesce(sum(CAST(${bits} AS UBIGINT)), 0) % 18446744073709551616 AS VARCHAR)`;
  const statistics = table.columns.flatMap((column) => {
    const name = identifier(column.name);
    return [
      `CAST(count(*) - count(${name}) AS VARCHAR)`,
      boundText(column, `min(${name})`),
      boundText(column, `max(${name})`),
    ];
  });
  return (
    `SELECT CAST(count(*) AS VARCHAR), ${half('"skynetes:hash" >> 64')}, ` +
    `${half('"skynetes:hash" & 18446744073709551615')}, ${statistics.join(", ")} ` +
    `FROM (SELECT *, md5_number(${row}) AS "skynetes:hash" FROM read_parquet(${literal(path)}))`
  );
}

function sized(text: string): string {
  return `${Buffer.byteLength(text)}:${text}`;
}

function canonical(column: ColumnSpec): string {
  const value = canonicalText(column);
  return `coalesce(strlen(${value}) || ':' || ${value}, '-')`;
}

/** The same text for the same value on every store; `strlen` counts bytes. */
function canonicalText(column: ColumnSpec): string {
  const name = identifier(column.name);
  switch (columnKind(column.type).kind) {
    case "STRING":
      return name;
    case "BYTES":
      return `lower(hex(${name}))`;
    case "TIMESTAMP":
      return `CAST(epoch_us(${name}) AS VARCHAR)`;
    case "DATE":
      return `CAST(${name} - DATE '1970-01-01' AS VARCHAR)`;
    default:
      return `CAST(${name} AS VARCHAR)`;
  }
}

function boundText(column: ColumnSpec, value: string): string {
  switch (columnKind(column.type).kind) {
    case "BYTES":
      return `lower(hex(${value}))`;
    case "DATE":
      return `strftime(${value}, '%Y-%m-%d')`;
    case "TIMESTAMP":
      // Always six places, so that the texts order like the times.
      return `strftime(${value}, '%Y-%m-%dT%H:%M:%S.%fZ')`;
    default:
      return `CAST(${value} AS VARCHAR)`;
  }
}
