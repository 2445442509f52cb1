import type { ColumnType } from "./table-spec.ts";

/** A column type taken apart. */
export type ColumnKind =
  | { readonly kind: "BOOLEAN" | "INT32" | "INT64" | "DOUBLE" | "STRING" | "BYTES" | "DATE" | "TIMESTAMP" }
  | { readonly kind: "DECIMAL"; readonly precision: number; readonly scale: number };

const DECIMAL = /^DECIMAL\((\d+),(\d+)\)$/;

export function columnKind(type: ColumnType): ColumnKind {
  const decimal = DECIMAL.exec(type);
  if (decimal !== null) return { kind: "DECIMAL", precision: Number(decimal[1]), scale: Number(decimal[2]) };
  return { kind: type as Exclude<ColumnType, `DECIMAL(${number},${number})`> };
}
