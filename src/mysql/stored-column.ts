import {
  DuckDBBlobValue,
  DuckDBDateValue,
  DuckDBDecimalValue,
  DuckDBTimestampValue,
  type DuckDBValue,
} from "@duckdb/node-api";
import { type ColumnType, columnKind } from "../mesh/column-type.ts";
import type { MySqlDialect } from "../mesh/store-spec.ts";
import { type CellValue, doubleOfText, doubleText } from "./canonical-text.ts";
import type { Parameter, Row } from "./mysql-pool.ts";

/**
 * How each type lies in a table. A DATE is its days since 1970 and a TIMESTAMP its microseconds: exact, moved by no
 * session's time zone, and SingleStore's own types begin in the year 1000. A DOUBLE is `doubleText`.
 */
export function storedType(type: ColumnType, dialect: MySqlDialect): string {
  const { kind } = columnKind(type);
  switch (kind) {
    case "BOOLEAN":
      return "TINYINT";
    case "INT32":
    case "DATE":
      return "INT";
    case "INT64":
    case "TIMESTAMP":
      return "BIGINT";
    case "DOUBLE":
      return dialect === "MySQL" ? "VARCHAR(24) CHARACTER SET ascii COLLATE ascii_bin" : "VARCHAR(24)";
    case "STRING":
      return "LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin";
    case "BYTES":
      return "LONGBLOB";
    case "DECIMAL":
      return type;
    default:
      kind satisfies never;
      throw new TypeError(`no stored type for ${type}`);
  }
}

/** What writes values of the type as parameters. */
export function parameterWriter(type: ColumnType): (value: NonNullable<CellValue>) => Parameter {
  const kind = columnKind(type);
  switch (kind.kind) {
    case "DOUBLE":
      return (value) => doubleText(value as number);
    case "DECIMAL":
      return (value) => decimalText(value as bigint, kind.scale);
    case "BYTES":
      return (value) => Buffer.from(value as Uint8Array);
    case "BOOLEAN":
      return (value) => (value === true ? 1 : 0);
    case "INT64":
    case "TIMESTAMP":
      return (value) => String(value);
    default:
      return (value) => value as number | string;
  }
}

/** What makes the values of a row, as this client reads them, into DuckDB's. */
export function duckDbReader(type: ColumnType): (stored: NonNullable<Row[number]>) => DuckDBValue {
  const kind = columnKind(type);
  switch (kind.kind) {
    case "BOOLEAN":
      return (stored) => stored === 1;
    case "INT64":
      return (stored) => BigInt(stored as string);
    case "DATE":
      return (stored) => new DuckDBDateValue(stored as number);
    case "TIMESTAMP":
      return (stored) => new DuckDBTimestampValue(BigInt(stored as string));
    case "DOUBLE":
      return (stored) => doubleOfText(stored as string);
    case "BYTES":
      return (stored) => new DuckDBBlobValue(stored as Buffer);
    case "DECIMAL":
      return (stored) =>
        new DuckDBDecimalValue(BigInt((stored as string).replace(".", "")), kind.precision, kind.scale);
    default:
      return (stored) => stored as number | string;
  }
}

function decimalText(unscaled: bigint, scale: number): string {
  const digits = (unscaled < 0n ? -unscaled : unscaled).toString().padStart(scale + 1, "0");
  const point = digits.length - scale;
  return `${unscaled < 0n ? "-" : ""}${digits.slice(0, point)}${scale === 0 ? "" : `.${digits.slice(point)}`}`;
}
