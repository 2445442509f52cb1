import { columnKind } from "../../mesh/column-type.ts";
import type { Cut } from "../../mesh/cut.ts";
import type { ColumnSpec, TableSpec } from "../../mesh/table-spec.ts";
import { HIDDEN, identifier, literal, tableName } from "./duckdb-schema.ts";

/**
 * The statement whose result is a segment, worked out from rows that each know their log position.
 *
 * Rows come in an order that depends on the log alone, so that equal content mostly makes equal files. One partition's
 * rows lie in the table in the order of their offsets already and need no sort, which would take memory for all of them.
 */
export function segmentSelect(table: TableSpec, from: Cut, to: Cut): string {
  if (table.kind === "Upsert") return visibleOf(table, `(${newestRecords(table, from, to)})`, isSplit(to));
  const order = to.length > 1 ? ` ORDER BY ${identifier(HIDDEN.partition)}, ${identifier(HIDDEN.offset)}` : "";
  return `SELECT ${columnsOf(table)} FROM ${tableName(table.name)} WHERE ${between(from, to)}${order}`;
}

/**
 * The newest record of each key in [from, to), tombstones too. A key lies in one partition, so the newest is the one with
 * the greatest offset. Should a producer break that rule, no order of its records would hold at every cut: then a key is
 * another one in each partition, so that all replicas agree, whatever each has frozen before.
 */
export function newestRecords(table: TableSpec, from: Cut, to: Cut): string {
  const key = keyOf(table, isSplit(to)).join(", ");
  return (
    `SELECT * FROM ${tableName(table.name)} WHERE ${between(from, to)} ` +
    `QUALIFY row_number() OVER (PARTITION BY ${key} ORDER BY ${identifier(HIDDEN.offset)} DESC) = 1`
  );
}

/** Rows of newest records, in the order of their keys. */
export function visibleOf(table: TableSpec, records: string, split: boolean): string {
  return (
    `SELECT ${fileColumns(table, split)} FROM ${records} ` +
    `WHERE NOT ${identifier(HIDDEN.tombstone)} ORDER BY ${keyOf(table, split).join(", ")}`
  );
}

/** Of several partitions: then an upsert table's files say which one a row is of. */
export function isSplit(cut: Cut): boolean {
  return cut.length > 1;
}

/** What tells the rows of an upsert table apart. */
export function keyOf(table: TableSpec, split: boolean): string[] {
  return [...table.key, ...(split ? [HIDDEN.partition] : [])].map(identifier);
}

export function fileColumns(table: TableSpec, split: boolean): string {
  return split ? `${columnsOf(table)}, ${identifier(HIDDEN.partition)}` : columnsOf(table);
}

function columnsOf(table: TableSpec): string {
  return table.columns.map((column) => identifier(column.name)).join(", ");
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
 * Rows, digest and statistics of rows in one pass. Columns of the result: rows, upper and lower half of the digest's sum,
 * then (nulls, min, max) of each column, all as text.
 */
export function describeRows(table: TableSpec, source: string): string {
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
    `FROM (SELECT *, ${rowHash(table)} AS "skynetes:hash" FROM ${source})`
  );
}

/**
 * Over the table's name and each value in the table's column order, each as `length:text` or `-` for null, so that no two
 * different rows make the same text. A sum of hashes does not depend on the order of rows, can be extended by later rows
 * and have rows taken away; modulo 2^64 it never overflows.
 */
function rowHash(table: TableSpec): string {
  return `md5_number(concat(${[literal(sized(table.name)), ...table.columns.map(canonical)].join(", ")}))`;
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
