import type { DuckDBVector } from "@duckdb/node-api";
import { Fault } from "../../fault/fault.ts";
import type { Codes, Column, ColumnValues } from "./snapshot-reader.ts";

/** How a column is read: its type in the manifest, and for strings of few distinct values the scan's dictionary. */
export interface ColumnRead {
  readonly name: string;
  readonly type: string;
  readonly dictionary?: readonly string[];
}

/** Fields of DuckDB's vector classes that this file reads; `items` and `dataView` are views, not copies. */
interface RawVector {
  readonly items?: ArrayLike<unknown>;
  readonly dataView?: DataView;
  readonly validity: { readonly data: BigUint64Array | null; itemValid(index: number): boolean };
  getItem(index: number): unknown;
  getScaledValue?(index: number): number | bigint | null;
}

/** A DuckDB vector as a column of ours. Numbers and codes are views of the chunk: nothing is made per row. */
export function columnFromVector(vector: DuckDBVector, rows: number, read: ColumnRead): Column {
  const raw = vector as unknown as RawVector;
  const values = columnValues(raw, rows, read);
  const nulls = nullsOf(raw, rows);
  return nulls === undefined ? values : { ...values, nulls };
}

function columnValues(raw: RawVector, rows: number, read: ColumnRead): ColumnValues {
  switch (read.type) {
    case "BOOLEAN":
      return { type: "BOOLEAN", values: bytesOf(raw, rows) };
    case "INT32":
      return { type: "INT32", values: itemsOf(raw, Int32Array, read) };
    case "DATE":
      return { type: "DATE", values: itemsOf(raw, Int32Array, read) };
    case "INT64":
      return { type: "INT64", values: itemsOf(raw, BigInt64Array, read) };
    case "TIMESTAMP":
      return { type: "TIMESTAMP", values: itemsOf(raw, BigInt64Array, read) };
    case "DOUBLE":
      return { type: "DOUBLE", values: itemsOf(raw, Float64Array, read) };
    case "STRING":
      return read.dictionary === undefined
        ? stringsOf(raw, rows)
        : { type: "STRING", codes: raw.items as Codes, dictionary: read.dictionary };
    case "BYTES":
      return { type: "BYTES", values: Array.from({ length: rows }, (_, i) => blobAt(raw, i)) };
    default:
      return decimalsOf(raw, rows, read);
  }
}

function itemsOf<T>(raw: RawVector, array: new (...args: never[]) => T, read: ColumnRead): T {
  // The query casts each column to its manifest type, so another vector here is a mistake of this file.
  if (raw.items instanceof array) return raw.items;
  throw new Fault("internal", `load column "${read.name}": DuckDB gave another vector than ${array.name}`);
}

function bytesOf(raw: RawVector, rows: number): Uint8Array {
  const view = raw.dataView;
  if (view === undefined) throw new Fault("internal", "load a BOOLEAN column: DuckDB gave no bytes");
  return new Uint8Array(view.buffer, view.byteOffset, rows);
}

function stringsOf(raw: RawVector, rows: number): ColumnValues {
  const dictionary: string[] = new Array(rows);
  const codes = new Uint32Array(rows);
  for (let i = 0; i < rows; i++) {
    dictionary[i] = (raw.getItem(i) as string | null) ?? "";
    codes[i] = i;
  }
  return { type: "STRING", codes, dictionary };
}

function blobAt(raw: RawVector, index: number): Uint8Array {
  const blob = raw.getItem(index) as { readonly bytes: Uint8Array } | null;
  return blob === null ? new Uint8Array() : new Uint8Array(blob.bytes);
}

const DECIMAL = /^DECIMAL\((\d+),(\d+)\)$/;

function decimalsOf(raw: RawVector, rows: number, read: ColumnRead): ColumnValues {
  const match = DECIMAL.exec(read.type);
  if (match === null || raw.getScaledValue === undefined) {
    throw new Fault("data-corrupt", `load column "${read.name}": unknown column type "${read.type}"`);
  }
  const values: bigint[] = new Array(rows);
  for (let i = 0; i < rows; i++) values[i] = BigInt(raw.getScaledValue(i) ?? 0);
  return { type: "DECIMAL", values, scale: Number(match[2]) };
}

function nullsOf(raw: RawVector, rows: number): Uint8Array | undefined {
  if (raw.validity.data === null) return undefined;
  let nulls: Uint8Array | undefined;
  for (let i = 0; i < rows; i++) {
    if (raw.validity.itemValid(i)) continue;
    nulls ??= new Uint8Array(rows);
    nulls[i] = 1;
  }
  return nulls;
}

/** The SQL type that a column is read as; undefined for a type that no manifest has. */
export function sqlTypeOf(type: string): string | undefined {
  switch (type) {
    case "BOOLEAN":
    case "DOUBLE":
    case "DATE":
    case "TIMESTAMP":
      return type;
    case "INT32":
      return "INTEGER";
    case "INT64":
      return "BIGINT";
    case "STRING":
      return "VARCHAR";
    case "BYTES":
      return "BLOB";
    default:
      return DECIMAL.test(type) ? type : undefined;
  }
}
