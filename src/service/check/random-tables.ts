import type { Column, ColumnBatch } from "../load/snapshot-reader.ts";

/** A value by its column's type: as in column batches, and null. DECIMAL is unscaled. */
export type CheckedValue = number | bigint | string | boolean | Uint8Array | null;

export type CheckedRow = Readonly<Record<string, CheckedValue>>;

export interface CheckedTable {
  /** Type of each column, as in the mesh's manifest: `STRING`, `INT64`, `DECIMAL(9,2)` … */
  readonly columns: Readonly<Record<string, string>>;
  /** Of an upsert table; absent: rows are only added. */
  readonly key?: readonly string[];
  /** A row such as the mesh may hold, from few enough values that keys and groups come again. `random` is in [0, 1). */
  row(random: () => number): CheckedRow;
}

/** Small, so that a state which keeps a batch beyond its time, or forgets that there are several, is found. */
const BATCH_ROWS = 7;

/** Rows as column batches that are void once the next is taken, as those of a scan are. */
export async function* batchesOf(
  table: CheckedTable,
  columns: readonly string[],
  rows: readonly CheckedRow[],
): AsyncIterable<ColumnBatch> {
  for (let from = 0; from < rows.length; from += BATCH_ROWS) {
    const some = rows.slice(from, from + BATCH_ROWS);
    const batch = { rows: some.length, columns: columns.map((name) => columnOf(table, name, some)) };
    yield batch;
    batch.columns.forEach(spoil);
  }
}

function columnOf(table: CheckedTable, name: string, rows: readonly CheckedRow[]): Column {
  const type = table.columns[name];
  if (type === undefined) throw new Error(`no column "${name}"; there are ${Object.keys(table.columns).join(", ")}`);
  const given = rows.map((row) => row[name] ?? null);
  const values = valuesOf(type, given);
  if (!given.includes(null)) return values;
  return { ...values, nulls: Uint8Array.from(given, (value) => (value === null ? 1 : 0)) };
}

function valuesOf(type: string, given: readonly CheckedValue[]): Column {
  switch (type) {
    case "BOOLEAN":
      return { type, values: Uint8Array.from(given, Number) };
    case "INT32":
    case "DATE":
      return { type, values: Int32Array.from(given, Number) };
    case "INT64":
    case "TIMESTAMP":
      return { type, values: BigInt64Array.from(given, (value) => BigInt((value ?? 0) as bigint)) };
    case "DOUBLE":
      return { type, values: Float64Array.from(given, Number) };
    case "STRING": {
      const dictionary = [...new Set(given.map((value) => (value ?? "") as string))];
      return {
        type,
        codes: Uint32Array.from(given, (value) => dictionary.indexOf((value ?? "") as string)),
        dictionary,
      };
    }
    case "BYTES":
      return { type, values: given.map((value) => (value ?? new Uint8Array()) as Uint8Array) };
    default: {
      const scale = Number(/^DECIMAL\(\d+,(\d+)\)$/.exec(type)?.[1] ?? Number.NaN);
      if (Number.isNaN(scale)) throw new Error(`unknown column type "${type}"`);
      return { type: "DECIMAL", values: given.map((value) => BigInt((value ?? 0) as bigint)), scale };
    }
  }
}

function spoil(column: Column): void {
  const array = column.type === "STRING" ? column.codes : column.values;
  if (ArrayBuffer.isView(array)) new Uint8Array(array.buffer, array.byteOffset, array.byteLength).fill(0x55);
}

/** A mulberry32 of the seed: the same numbers for the same seed, everywhere. */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** As `ScanOptions.orderBy` says: ascending, nulls last, strings by their UTF-8 bytes. */
export function sorted(rows: readonly CheckedRow[], orderBy: readonly string[] = []): readonly CheckedRow[] {
  return rows.toSorted((a, b) => {
    for (const name of orderBy) {
      const order = compare(a[name] ?? null, b[name] ?? null);
      if (order !== 0) return order;
    }
    return 0;
  });
}

function compare(a: CheckedValue, b: CheckedValue): number {
  if (a === null || b === null) return Number(a === null) - Number(b === null);
  if (typeof a === "string" && typeof b === "string") return Buffer.compare(Buffer.from(a), Buffer.from(b));
  if (a instanceof Uint8Array && b instanceof Uint8Array) return Buffer.compare(a, b);
  return a < b ? -1 : a > b ? 1 : 0;
}
