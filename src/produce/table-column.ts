/**
 * The many types of a table become the few that are written as JSON. The database brings each column to one of them
 * (`sql`), so that no value passes through a type that cannot hold it: what does not fit 64 bits travels as digits.
 */
export interface TableColumn {
  readonly name: string;
  readonly kind: ColumnKind;
  readonly sql: string;
}

export type ColumnKind =
  | "integer" // 64 bits, a JSON number
  | "digits" // text of an integer of any length, a JSON number
  | "number text" // a number as a CSV file spells it: kept as it is where JSON allows
  | "double"
  | "boolean"
  | "timestamp" // microseconds since the epoch
  | "timestamp ns"
  | "date"
  | "string"
  | "json"; // JSON text: lists, structs, maps

/** `type` is the database's name for it. */
export function tableColumn(name: string, type: string): TableColumn {
  const column = quoteIdentifier(name);
  const as = (kind: ColumnKind, sql: string): TableColumn => ({ name, kind, sql });
  const bytesOf = (text: string) => `encode(${text})`;
  if (/^(TINYINT|SMALLINT|INTEGER|BIGINT|UTINYINT|USMALLINT|UINTEGER)$/.test(type)) {
    return as("integer", `${column}::BIGINT`);
  }
  if (/^(UBIGINT|HUGEINT|UHUGEINT|BIGNUM)$/.test(type)) return as("digits", bytesOf(`${column}::VARCHAR`));
  if (/^(FLOAT|DOUBLE)$/.test(type)) return as("double", `${column}::DOUBLE`);
  if (type === "BOOLEAN") return as("boolean", column);
  if (type === "DATE") return as("date", column);
  if (type === "TIMESTAMP_NS") return as("timestamp ns", column);
  // With a time zone it is stored as the same microseconds in UTC.
  if (type === "TIMESTAMP WITH TIME ZONE") return as("timestamp", column);
  if (/^TIMESTAMP(_S|_MS)?$/.test(type)) return as("timestamp", `${column}::TIMESTAMP`);
  if (type === "BLOB") return as("string", bytesOf(`base64(${column})`));
  if (type === "JSON" || /\[\d*\]$|^(STRUCT|MAP|UNION)\(/.test(type)) {
    return as("json", bytesOf(`to_json(${column})::VARCHAR`));
  }
  // Text, and what is best told as text: decimals, times, intervals, UUIDs, enums.
  return as("string", bytesOf(`${column}::VARCHAR`));
}

export function quoteIdentifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

export function quoteText(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
