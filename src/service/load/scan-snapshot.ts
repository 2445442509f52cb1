import type { DuckDBConnection } from "@duckdb/node-api";
import { Fault } from "../../fault/fault.ts";
import { faultFromUnknown } from "../../fault/fault-from-unknown.ts";
import type { ShardManifest, TableManifest } from "../../wire/generated/skynetes/v1/seal_pb.ts";
import { type ColumnRead, columnFromVector, sqlTypeOf } from "./column-vector.ts";
import type { LoadDatabase } from "./load-database.ts";
import type { ScanCache } from "./scan-cache.ts";
import type { ColumnBatch, ScanOptions, SnapshotReader } from "./snapshot-reader.ts";
import type { TableSource } from "./table-source.ts";

/**
 * Strings are slow to take out of DuckDB one by one, while codes come as one typed array a chunk (1.5 M rows × 2 columns
 * on a busy machine: 3.2 s as strings; 1.4 s as codes, the dictionary included). So a string column with at most this many distinct values is
 * read as codes of an ENUM made of them; beyond, building the dictionary would cost more than it saves.
 */
const DICTIONARY_VALUES_MAX = 40_000;

/** A verified shard as a `SnapshotReader`; with a cache, scans that were made before are read from it. */
export function snapshotOf(
  manifest: ShardManifest,
  source: TableSource,
  database: LoadDatabase,
  cache: ScanCache | undefined,
): SnapshotReader {
  const tables = new Map(manifest.tables.map((table) => [table.name, table]));
  return {
    shard: manifest.shard,
    tables: manifest.tables.map((table) => ({
      name: table.name,
      rows: table.rows,
      columns: table.columns.map((column) => column.name),
    })),
    scan(name, columns, options = {}) {
      const table = tables.get(name);
      if (table === undefined) {
        const known = [...tables.keys()].join(", ");
        throw new Fault("invalid-request", `scan table "${name}": no such table; there are ${known}`);
      }
      const reads = columns.map((column) => columnRead(table, column));
      for (const column of options.orderBy ?? []) columnRead(table, column);
      const segments = source.contentNames(table);
      const scan = { table, source, reads, options };
      if (cache === undefined || segments.length === 0) return scanRows(database, scan);
      const key = { segments, columns: reads, orderBy: options.orderBy ?? [] };
      return cache.batches(key, table.rows, () => scanRows(database, scan));
    },
  };
}

/** Fault `invalid-request`: the table has no such column. */
export function columnRead(table: TableManifest, name: string): ColumnRead {
  const column = table.columns.find((c) => c.name === name);
  if (column === undefined) {
    const known = table.columns.map((c) => c.name).join(", ");
    throw new Fault("invalid-request", `scan table "${table.name}": no column "${name}"; there are ${known}`);
  }
  if (sqlTypeOf(column.type) === undefined) {
    throw new Fault(
      "data-corrupt",
      `scan table "${table.name}": column "${name}" has the unknown type "${column.type}"`,
    );
  }
  return { name, type: column.type };
}

interface Scan {
  readonly table: TableManifest;
  readonly source: TableSource;
  readonly reads: readonly ColumnRead[];
  readonly options: ScanOptions;
}

async function* scanRows(database: LoadDatabase, scan: Scan): AsyncIterable<ColumnBatch> {
  const attempted = `scan table "${scan.table.name}"`;
  if (scan.reads.length === 0) throw new Fault("invalid-request", `${attempted}: no columns asked for`);
  // Its own connection, since a second query on one ends a stream that is not read to its end; the ENUM types that the
  // scan makes are temporary and go with it.
  const connection = await foreign(attempted, async () => (await database()).connect());
  try {
    const columns = [...scan.reads.map(({ name }) => name), ...(scan.options.orderBy ?? [])];
    const source = await foreign(attempted, () => scan.source.relation(scan.table, columns, connection));
    if (source === undefined) return;
    let seen = 0n;
    for await (const batch of relationBatches(connection, { ...scan, attempted, relation: source })) {
      seen += BigInt(batch.rows);
      yield batch;
    }
    if (seen !== scan.table.rows) {
      const { rows } = scan.table;
      throw new Fault("data-corrupt", `${attempted}: there are ${seen} rows, the manifest says ${rows}`);
    }
  } finally {
    connection.closeSync();
  }
}

/** What is read of a relation of DuckDB's. */
export interface RelationScan {
  /** For faults. */
  readonly attempted: string;
  readonly relation: string;
  readonly reads: readonly ColumnRead[];
  readonly options: ScanOptions;
}

/** The rows of a relation as column batches, on a connection that has nothing else to do meanwhile. */
export async function* relationBatches(
  connection: DuckDBConnection,
  { attempted, relation, reads: asked, options }: RelationScan,
): AsyncIterable<ColumnBatch> {
  const dictionaries = await foreign(attempted, () => makeDictionaries(connection, relation, asked));
  const reads = asked.map((read) => {
    const dictionary = dictionaries.get(read.name);
    return dictionary === undefined ? read : { ...read, dictionary: dictionary.values };
  });
  const selected = asked.map((read) => {
    const dictionary = dictionaries.get(read.name);
    const column = `CAST(${identifier(read.name)} AS ${sqlTypeOf(read.type)})`;
    return dictionary === undefined ? column : `enum_code(CAST(${column} AS ${dictionary.type}))`;
  });
  // By its code where a string has one: the dictionary is in order, and numbers sort faster than strings.
  const order = (options.orderBy ?? []).map((name) => {
    const position = dictionaries.has(name) ? asked.findIndex((read) => read.name === name) + 1 : 0;
    return `${position > 0 ? position : identifier(name)} ASC NULLS LAST`;
  });
  const orderBy = order.length === 0 ? "" : ` ORDER BY ${order.join(", ")}`;
  const result = await foreign(attempted, () =>
    connection.stream(`SELECT ${selected.join(", ")} FROM ${relation}${orderBy}`),
  );
  for (;;) {
    const chunk = await foreign(attempted, () => result.fetchChunk());
    const rows = chunk?.rowCount ?? 0;
    if (chunk === null || rows === 0) return;
    yield { rows, columns: reads.map((read, i) => columnFromVector(chunk.getColumnVector(i), rows, read)) };
  }
}

interface Dictionary {
  readonly type: string;
  readonly values: readonly string[];
}

async function makeDictionaries(
  connection: DuckDBConnection,
  source: string,
  reads: readonly ColumnRead[],
): Promise<ReadonlyMap<string, Dictionary>> {
  const made = new Map<string, Dictionary>();
  const names = [...new Set(reads.filter((read) => read.type === "STRING").map((read) => read.name))];
  if (names.length === 0) return made;
  const counts = names.map((name) => `approx_count_distinct(${identifier(name)})`).join(", ");
  const row = (await connection.runAndReadAll(`SELECT ${counts} FROM ${source}`)).getRows()[0] ?? [];
  for (const [index, name] of names.entries()) {
    const distinct = Number(row[index] ?? 0);
    if (distinct === 0 || distinct > DICTIONARY_VALUES_MAX) continue;
    const column = identifier(name);
    const type = `dictionary_${index}`;
    await connection.run(
      `CREATE TEMP TYPE ${type} AS ENUM (SELECT DISTINCT CAST(${column} AS VARCHAR) AS v FROM ${source} WHERE ${column} IS NOT NULL ORDER BY v)`,
    );
    const values = await connection.runAndReadAll(`SELECT unnest(enum_range(NULL::${type}))::VARCHAR`);
    made.set(name, { type, values: values.getRows().map((r) => r[0] as string) });
  }
  return made;
}

/** DuckDB's complaints about files whose checksums are right mean that their content is not what the manifest says. */
export async function foreign<T>(attempted: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof Fault) throw error;
    const text = error instanceof Error ? error.message : String(error);
    if (/out of memory/i.test(text)) throw new Fault("out-of-memory", `${attempted}: ${text}`, {}, error);
    throw /binder|invalid input|conversion/i.test(text)
      ? new Fault("data-corrupt", `${attempted}: ${text}`, {}, error)
      : faultFromUnknown(error, attempted);
  }
}

export const identifier = (name: string) => `"${name.replaceAll('"', '""')}"`;
