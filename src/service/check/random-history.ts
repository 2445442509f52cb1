import type { SnapshotChanges } from "../load/snapshot-changes.ts";
import type { ScanOptions, SnapshotReader } from "../load/snapshot-reader.ts";
import { batchesOf, type CheckedRow, type CheckedTable, sorted } from "./random-tables.ts";

export type CheckedTables = Readonly<Record<string, CheckedTable>>;

/** The rows of every table at one snapshot. Rows that two snapshots share are the same objects. */
export type Content = Readonly<Record<string, readonly CheckedRow[]>>;

/** What a table gains in a step; nothing in a fifth of them. */
const ROWS_MAX = 20;

/** The next content: append tables gain rows, upsert tables gain, change and lose some, and get lost keys again. */
export function nextContent(tables: CheckedTables, content: Content, random: () => number): Content {
  return Object.fromEntries(
    Object.entries(tables).map(([name, table]) => {
      const before = content[name] ?? [];
      const written = random() < 0.2 ? 0 : Math.floor(random() * ROWS_MAX);
      const rows = Array.from({ length: written }, () => table.row(random));
      if (table.key === undefined) return [name, [...before, ...rows]];
      const byKey = new Map(
        before.filter(() => written === 0 || random() > 0.1).map((row) => [keyOf(table, row), row]),
      );
      for (const row of rows) byKey.set(keyOf(table, row), row);
      return [name, [...byKey.values()]];
    }),
  );
}

export function readerOf(tables: CheckedTables, content: Content): SnapshotReader {
  return {
    shard: 0,
    tables: Object.entries(tables).map(([name, { columns }]) => ({
      name,
      rows: BigInt(content[name]?.length ?? 0),
      columns: Object.keys(columns),
    })),
    scan: (name, columns, options) => scan(tables, name, columns, content[name] ?? [], options),
  };
}

/** How `next` differs from `previous`, in whichever order they were made. */
export function changesOf(tables: CheckedTables, previous: Content, next: Content): SnapshotChanges {
  const difference = (name: string, from: Content, to: Content, columns: readonly string[]) => {
    const table = find(tables, name);
    const [own, others] = [to[name] ?? [], from[name] ?? []];
    if (table.key !== undefined) {
      const keys = new Set(others.map((row) => keyOf(table, row)));
      return own.filter((row) => !keys.has(keyOf(table, row)));
    }
    const left = new Map<string, number>();
    for (const row of others) left.set(textOf(row, columns), (left.get(textOf(row, columns)) ?? 0) + 1);
    return own.filter((row) => {
      const copies = left.get(textOf(row, columns)) ?? 0;
      left.set(textOf(row, columns), copies - 1);
      return copies <= 0;
    });
  };
  const all = (name: string) => Object.keys(find(tables, name).columns);
  return {
    snapshot: readerOf(tables, next),
    tables: Object.keys(tables).map((name) => {
      const lost = difference(name, next, previous, all(name)).length > 0;
      const isSame = !lost && sameRows(previous[name] ?? [], next[name] ?? []);
      const isGrown = !lost && tables[name]?.key === undefined;
      return { name, change: isSame ? "none" : isGrown ? "added" : "any" };
    }),
    added: (name, columns, options) => scan(tables, name, columns, difference(name, previous, next, columns), options),
    removed: (name, columns, options) =>
      scan(tables, name, columns, difference(name, next, previous, columns), options),
    async *replaced(name, columns) {
      const table = find(tables, name);
      if (table.key === undefined) return;
      const before = new Map((previous[name] ?? []).map((row) => [keyOf(table, row), row]));
      for (const row of next[name] ?? []) {
        const former = before.get(keyOf(table, row));
        if (former === undefined || textOf(former, columns) === textOf(row, columns)) continue;
        for await (const one of batchesOf(table, columns, [former])) {
          for await (const other of batchesOf(table, columns, [row])) yield { rows: 1, before: one, after: other };
        }
      }
    },
  };
}

function sameRows(a: readonly CheckedRow[], b: readonly CheckedRow[]): boolean {
  return a.length === b.length && new Set([...a, ...b]).size === a.length;
}

function scan(
  tables: CheckedTables,
  name: string,
  columns: readonly string[],
  rows: readonly CheckedRow[],
  options: ScanOptions = {},
) {
  return batchesOf(find(tables, name), columns, sorted(rows, options.orderBy));
}

function find(tables: CheckedTables, name: string): CheckedTable {
  const table = tables[name];
  if (table === undefined) throw new Error(`no table "${name}"; there are ${Object.keys(tables).join(", ")}`);
  return table;
}

function keyOf(table: CheckedTable, row: CheckedRow): string {
  return textOf(row, table.key ?? []);
}

function textOf(row: CheckedRow, columns: readonly string[]): string {
  return JSON.stringify(
    columns.map((name) => {
      const value = row[name] ?? null;
      if (value instanceof Uint8Array) return Buffer.from(value).toString("hex");
      return value === null ? null : Object.is(value, -0) ? "-0" : String(value);
    }),
  );
}
