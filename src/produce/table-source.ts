import { type DuckDBConnection, DuckDBInstance } from "@duckdb/node-api";
import { Fault } from "../fault/fault.ts";
import { checkColumns, type RowBatch, type RowChoice, type RowSource } from "./row-choice.ts";
import { quoteIdentifier, quoteText, type TableColumn, tableColumn } from "./table-column.ts";
import { recordsOfChunk } from "./table-records.ts";

/** What the reading database may hold; the rest of the process needs far less. */
const MEMORY_LIMIT = "512MB";
/** A value's length is guessed from the chunk before; for the first one it is this. */
const VALUE_BYTES_EXPECTED = 128;

/**
 * Parquet and CSV through DuckDB, streamed in the order of the file. CSV is read as RFC 4180 has it, with a header line;
 * the types of its columns are found from the whole file, so that they do not depend on where a sample ended.
 */
export async function openTable(
  format: "csv" | "tsv" | "parquet",
  choice: RowChoice,
  limit: number | undefined,
): Promise<RowSource> {
  const instance = await DuckDBInstance.create(":memory:", {
    preserve_insertion_order: "true",
    memory_limit: MEMORY_LIMIT,
  });
  const connection = await instance.connect();
  const close = () => {
    connection.closeSync();
    instance.closeSync();
  };
  try {
    const path = quoteText(literalPath(choice.file));
    const table =
      format === "parquet" ? await parquetTable(connection, path) : await csvTable(connection, path, format);
    checkColumns(
      choice,
      table.columns.map((column) => column.name),
    );
    const sql = `SELECT ${table.columns.map((column) => column.sql).join(", ")} FROM ${table.from}`;
    const limited = limit === undefined ? sql : `${sql} LIMIT ${limit}`;
    const batches = readTable(connection, limited, { columns: table.columns, choice, close });
    const { totalRows } = table;
    if (totalRows === undefined) return { batches };
    return { batches, totalRows: limit === undefined ? totalRows : Math.min(limit, totalRows) };
  } catch (error) {
    close();
    throw unreadable(choice.file, error);
  }
}

interface Table {
  /** What stands after FROM. */
  readonly from: string;
  readonly columns: readonly TableColumn[];
  readonly totalRows?: number;
}

async function parquetTable(connection: DuckDBConnection, path: string): Promise<Table> {
  const from = `read_parquet(${path})`;
  const described = await connection.runAndReadAll(`DESCRIBE SELECT * FROM ${from}`);
  const columns = described.getRowsJson().map(([name, type]) => tableColumn(String(name), String(type)));
  const counted = await connection.runAndReadAll(`SELECT count(*) FROM ${from}`);
  return { from, columns, totalRows: Number(counted.getRows()[0]![0]) };
}

async function csvTable(connection: DuckDBConnection, path: string, format: "csv" | "tsv"): Promise<Table> {
  const dialect = `delim=${format === "csv" ? "','" : "'\\t'"}, quote='"', escape='"', header=true, skip=0, comment=''`;
  const sniffed = await connection.runAndReadAll(
    `SELECT "Columns", "NewLineDelimiter", "DateFormat", "TimestampFormat" FROM sniff_csv(${path}, sample_size=-1, ${dialect})`,
  );
  const [columns, newLine, dateFormat, timestampFormat] = sniffed.getRowsJson()[0] as unknown as [
    { name: string; type: string }[],
    string,
    string | null,
    string | null,
  ];
  // A column of numbers with a point, or with more digits than 64 bits hold, is read as text: a double would lose some.
  const read = columns.map(({ name, type }) => ({
    name,
    type: type === "DOUBLE" ? "VARCHAR" : type,
    isNumber: type === "DOUBLE",
  }));
  const types = read.map(({ name, type }) => `${quoteText(name)}: ${quoteText(type)}`).join(", ");
  const formats = [
    dateFormat === null ? "" : `, dateformat=${quoteText(dateFormat)}`,
    timestampFormat === null ? "" : `, timestampformat=${quoteText(timestampFormat)}`,
  ].join("");
  return {
    from: `read_csv(${path}, auto_detect=false, ${dialect}, new_line=${quoteText(newLine)}, columns={${types}}${formats})`,
    columns: read.map(({ name, type, isNumber }) =>
      isNumber ? { name, kind: "number text", sql: `encode(${quoteIdentifier(name)})` } : tableColumn(name, type),
    ),
  };
}

interface Reading {
  readonly columns: readonly TableColumn[];
  readonly choice: RowChoice;
  readonly close: () => void;
}

async function* readTable(connection: DuckDBConnection, sql: string, reading: Reading): AsyncGenerator<RowBatch> {
  const { choice, columns, close } = reading;
  let firstRow = 1;
  let valueBytes = VALUE_BYTES_EXPECTED;
  try {
    const result = await connection.stream(sql);
    const labels = columns.map(({ name }, i) => Buffer.from(`${i === 0 ? "{" : ","}${JSON.stringify(name)}:`, "utf8"));
    for (;;) {
      const chunk = await result.fetchChunk();
      if (chunk === null || chunk.rowCount === 0) return;
      const { records, fault } = recordsOfChunk(chunk, { columns, choice, labels, firstRow, valueBytes });
      const bytes = records.reduce((sum, record) => sum + record.value!.length, 0);
      valueBytes = records.length === 0 ? valueBytes : Math.ceil((1.1 * bytes) / records.length);
      yield { records };
      if (fault !== undefined) throw fault;
      firstRow += chunk.rowCount;
    }
  } catch (error) {
    throw unreadable(choice.file, error);
  } finally {
    close();
  }
}

/** The database takes patterns for file names; a file's own name is meant as it is. */
function literalPath(file: string): string {
  return file.replace(/[[*?]/g, (character) => `[${character}]`);
}

function unreadable(file: string, error: unknown): Fault {
  if (error instanceof Fault) return error;
  const text = error instanceof Error ? error.message : String(error);
  return new Fault("bad-input-file", `load ${file}: ${text.split("\n").slice(0, 3).join(" ").trim()}`, {}, error);
}
