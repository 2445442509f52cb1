export const PLAIN_COLUMN_TYPES = [
  "BOOLEAN",
  "INT32",
  "INT64",
  "DOUBLE",
  "STRING",
  "BYTES",
  "DATE",
  "TIMESTAMP",
] as const;
type PlainColumnType = (typeof PLAIN_COLUMN_TYPES)[number];

export type ColumnType = PlainColumnType | `DECIMAL(${number},${number})`;

/** A column type taken apart. */
export type ColumnKind =
  | { readonly kind: PlainColumnType }
  | { readonly kind: "DECIMAL"; readonly precision: number; readonly scale: number };

const DECIMAL = /^DECIMAL\((\d+),(\d+)\)$/;

export function columnKind(type: ColumnType): ColumnKind {
  const decimal = DECIMAL.exec(type);
  if (decimal !== null) return { kind: "DECIMAL", precision: Number(decimal[1]), scale: Number(decimal[2]) };
  return { kind: type as PlainColumnType };
}
