import type { ColumnType } from "../../mesh/table-spec.ts";

const PLAIN = ["BOOLEAN", "INT32", "INT64", "DOUBLE", "STRING", "BYTES", "DATE", "TIMESTAMP"] as const;

export const COLUMN_TYPES: readonly string[] = [...PLAIN, "DECIMAL(p,s)"];

/** The type, or `undefined`. A decimal has 1 to 38 digits, of which at most all are behind the point. */
export function parseColumnType(text: string): ColumnType | undefined {
  const plain = PLAIN.find((type) => type === text);
  if (plain !== undefined) return plain;
  const match = /^DECIMAL\((\d{1,2}), ?(\d{1,2})\)$/.exec(text);
  if (match === null) return undefined;
  const precision = Number(match[1]);
  const scale = Number(match[2]);
  return precision >= 1 && precision <= 38 && scale <= precision ? `DECIMAL(${precision},${scale})` : undefined;
}
