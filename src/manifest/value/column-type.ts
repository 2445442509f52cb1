import { type ColumnType, PLAIN_COLUMN_TYPES } from "../../mesh/column-type.ts";

export const COLUMN_TYPES: readonly string[] = [...PLAIN_COLUMN_TYPES, "DECIMAL(p,s)"];

/** The type, or `undefined`. A decimal has 1 to 38 digits, of which at most all are behind the point. */
export function parseColumnType(text: string): ColumnType | undefined {
  const plain = PLAIN_COLUMN_TYPES.find((type) => type === text);
  if (plain !== undefined) return plain;
  const match = /^DECIMAL\((\d{1,2}), ?(\d{1,2})\)$/.exec(text);
  if (match === null) return undefined;
  const precision = Number(match[1]);
  const scale = Number(match[2]);
  return precision >= 1 && precision <= 38 && scale <= precision ? `DECIMAL(${precision},${scale})` : undefined;
}
