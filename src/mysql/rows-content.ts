import { columnKind } from "../mesh/column-type.ts";
import type { ColumnSpec } from "../mesh/table-spec.ts";
import { doubleText } from "./canonical-text.ts";
import type { Row } from "./mysql-pool.ts";
import { literal, quoted } from "./quote.ts";

const TWO_64 = "18446744073709551616";

/**
 * Rows, digest and statistics of the rows of `source`, in one pass on the server. The text that is hashed is the one of
 * `src/node/store/segment-sql.ts`, so that the same rows have the same digest on every store.
 */
export function describeRows(table: string, columns: readonly ColumnSpec[], source: string): string {
  const half = (start: number) =>
    // The hash is read as DuckDB reads it, its last byte first.
    `CAST(MOD(COALESCE(SUM(CAST(CONV(SUBSTRING(HEX(REVERSE(UNHEX(\`skynetes:hash\`))), ${start}, 16), 16, 10) ` +
    `AS DECIMAL(20, 0))), 0), ${TWO_64}) AS CHAR)`;
  const statistics = columns.flatMap(statisticsOf).map((expression) => `, ${expression}`);
  const names = columns.map(({ name }) => `, ${quoted(name)}`).join("");
  return (
    `SELECT COUNT(*), COUNT(\`skynetes:hash\`), ${half(1)}, ${half(17)}${statistics.join("")} ` +
    `FROM (SELECT MD5(${rowText(table, columns)}) AS \`skynetes:hash\`${names} FROM ${source}) AS \`skynetes:rows\``
  );
}

/** The text of a row that no other row makes: the table, then each value as `bytes:text`, or `-` for null. */
function rowText(table: string, columns: readonly ColumnSpec[]): string {
  return `CONCAT(${[literal(`${Buffer.byteLength(table)}:${table}`), ...columns.map(sizedText)].join(", ")})`;
}

export function sizedText(column: ColumnSpec): string {
  const text = canonicalText(column);
  return `COALESCE(CONCAT(LENGTH(${text}), ':', ${text}), '-')`;
}

function canonicalText({ name, type }: ColumnSpec): string {
  const column = quoted(name);
  const kind = columnKind(type);
  switch (kind.kind) {
    case "STRING":
    case "DOUBLE":
      return column;
    case "BYTES":
      return `LOWER(HEX(${column}))`;
    case "BOOLEAN":
      return `CASE ${column} WHEN 1 THEN 'true' WHEN 0 THEN 'false' END`;
    case "DECIMAL":
      // All digits behind the point: DuckDB writes no zero before it.
      return kind.precision === kind.scale ? `REPLACE(CAST(${column} AS CHAR), '0.', '.')` : `CAST(${column} AS CHAR)`;
    default:
      return `CAST(${column} AS CHAR)`;
  }
}

/** Expressions of one column's statistics; as many for every column. Bytes order strings, whatever a collation thinks. */
function statisticsOf({ name, type }: ColumnSpec): string[] {
  const column = quoted(name);
  const nulls = `COUNT(*) - COUNT(${column})`;
  const { kind } = columnKind(type);
  if (kind === "STRING") return [nulls, `MIN(CAST(${column} AS BINARY))`, `MAX(CAST(${column} AS BINARY))`, "NULL"];
  if (kind !== "DOUBLE") return [nulls, `MIN(${column})`, `MAX(${column})`, "NULL"];
  const finite = `CASE WHEN ${column} IN ('nan', 'inf', '-inf') THEN NULL ELSE ${column} + 0e0 END`;
  const has = (text: string) => `COALESCE(SUM(${column} = '${text}'), 0) > 0`;
  const special = `CONCAT(${["-inf", "inf", "nan"].map((text) => `CASE WHEN ${has(text)} THEN '1' ELSE '0' END`).join(", ")})`;
  return [nulls, `MIN(${finite})`, `MAX(${finite})`, special];
}

const EXPRESSIONS_A_COLUMN = 4;
const BEFORE_COLUMNS = 4;

/** What the row of `describeRows` says. */
export interface RowsContent {
  readonly rows: bigint;
  /** Rows that could be hashed; fewer than `rows` when a row is larger than the server lets a text be. */
  readonly hashed: bigint;
  /** Upper and lower half of the digest, each a sum modulo 2^64. */
  readonly digest: readonly [bigint, bigint];
  readonly columns: readonly { readonly nulls: bigint; readonly min: string | null; readonly max: string | null }[];
}

export function rowsContent(columns: readonly ColumnSpec[], row: Row): RowsContent {
  const [rows, hashed, upper, lower] = row.slice(0, BEFORE_COLUMNS).map((text) => BigInt(text as string));
  return {
    rows: rows!,
    hashed: hashed!,
    digest: [upper!, lower!],
    columns: columns.map((column, i) => {
      const at = BEFORE_COLUMNS + i * EXPRESSIONS_A_COLUMN;
      const [nulls, min, max, special] = row.slice(at, at + EXPRESSIONS_A_COLUMN);
      const [least, greatest] = column.type === "DOUBLE" ? doubleBounds(min, max, special) : [min, max];
      return {
        nulls: BigInt(nulls as string),
        min: boundText(column, least ?? null),
        max: boundText(column, greatest ?? null),
      };
    }),
  };
}

/** In the order -inf, finite, inf, nan. */
function doubleBounds(min: Row[number] | undefined, max: Row[number] | undefined, special: Row[number] | undefined) {
  const [low, high, nan] = [...((special as string | null) ?? "000")].map((flag) => flag === "1");
  const finite = (value: Row[number] | undefined) => (value == null ? undefined : doubleText(Number(value)));
  const all = [low && "-inf", finite(min), finite(max), high && "inf", nan && "nan"].filter(
    (text): text is string => typeof text === "string",
  );
  return [all[0] ?? null, all.at(-1) ?? null];
}

function boundText({ type }: ColumnSpec, value: Row[number]): string | null {
  if (value === null) return null;
  const { kind } = columnKind(type);
  switch (kind) {
    case "BOOLEAN":
      return Number(value) === 1 ? "true" : "false";
    case "STRING":
      return (value as Buffer).toString("utf8");
    case "BYTES":
      return (value as Buffer).toString("hex");
    case "DATE":
      return isoText(BigInt(value as string | number) * 86_400_000_000n).slice(0, 10);
    case "TIMESTAMP":
      return isoText(BigInt(value as string));
    case "DECIMAL": {
      const text = value as string;
      return /^DECIMAL\((\d+),\1\)$/.test(type) ? text.replace("0.", ".") : text;
    }
    default:
      return String(value);
  }
}

/** Microseconds since 1970 with six places, so that the texts order like the times. */
function isoText(micros: bigint): string {
  const below = ((micros % 1000n) + 1000n) % 1000n;
  const milliseconds = (micros - below) / 1000n;
  return `${new Date(Number(milliseconds)).toISOString().slice(0, -1)}${below.toString().padStart(3, "0")}Z`;
}
