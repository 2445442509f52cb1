import { tableText } from "./print-table.ts";

/**
 * An answer for people. A streamed answer, and an answer that is one list, is a table with a column for each field; any
 * other is a field a line.
 */
export function answerText(messages: readonly unknown[]): string {
  const [first] = messages;
  const single = messages.length === 1 && isRecord(first) && isRecord(first.answer) ? first.answer : undefined;
  if (single === undefined) return rowsText(messages);
  const entries = Object.entries(single);
  const [only] = entries;
  if (entries.length === 1 && only !== undefined && Array.isArray(only[1])) return rowsText(only[1]);
  return tableText(
    ["FIELD", "VALUE"],
    entries.map(([name, value]) => [name, cell(value)]),
  );
}

function rowsText(rows: readonly unknown[]): string {
  if (rows.length === 0) return "no rows\n";
  if (!rows.every(isRecord)) return `${rows.map(cell).join("\n")}\n`;
  // Optional fields are absent where they have no value, so every row has its say.
  const names = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  return tableText(
    names,
    rows.map((row) => names.map((name) => cell(row[name]))),
  );
}

function cell(value: unknown): string {
  if (value === undefined || value === null) return "-";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
