import type { DuckDBConnection } from "@duckdb/node-api";
import { Fault } from "../../fault/fault.ts";
import type { ColumnRead } from "./column-vector.ts";
import { type Difference, differenceSql } from "./difference-sql.ts";
import type { LoadDatabase } from "./load-database.ts";
import type { TableDifference } from "./manifest-difference.ts";
import { columnRead, foreign, relationBatches } from "./scan-snapshot.ts";
import type { ReplacedRows, SnapshotChanges } from "./snapshot-changes.ts";
import type { ColumnBatch, ScanOptions, SnapshotReader } from "./snapshot-reader.ts";
import { rowsOnlyIn } from "./visible-rows.ts";

/** What is wanted of a difference. */
type Rows = Difference["rows"];

export interface SegmentChanges {
  readonly difference: ReadonlyMap<string, TableDifference>;
  /** Of segments of both snapshots, which are verified. */
  readonly pathOf: (sha256: string) => string;
  readonly database: LoadDatabase;
  readonly snapshot: SnapshotReader;
}

/**
 * The difference of two snapshots in segments as `SnapshotChanges`. Where segments were only added, their rows are the
 * difference and are read as they lie; else DuckDB compares the rows that are visible in one of the two alone, within its
 * memory bound.
 */
export function segmentChanges(parts: SegmentChanges): SnapshotChanges {
  const { difference, snapshot } = parts;
  const one =
    (rows: Rows) =>
    (name: string, columns: readonly string[], options: ScanOptions = {}) =>
      changedRows(parts, { name, columns, options, rows });
  return {
    snapshot,
    tables: [...difference].map(([name, { change }]) => ({ name, change })),
    added: one("added"),
    removed: one("removed"),
    async *replaced(name, columns) {
      for await (const { rows, columns: both } of one("replaced")(name, columns)) {
        const before = { rows, columns: both.slice(0, columns.length) };
        yield { rows, before, after: { rows, columns: both.slice(columns.length) } } satisfies ReplacedRows;
      }
    },
  };
}

interface AskedChanges {
  readonly name: string;
  readonly columns: readonly string[];
  readonly options: ScanOptions;
  readonly rows: Rows;
}

async function* changedRows(parts: SegmentChanges, asked: AskedChanges): AsyncIterable<ColumnBatch> {
  const { name, columns, options, rows } = asked;
  const attempted = `read ${rows} rows of table "${name}"`;
  const found = parts.difference.get(name);
  if (found === undefined) {
    const known = [...parts.difference.keys()].join(", ");
    throw new Fault("invalid-request", `${attempted}: no such table; there are ${known}`);
  }
  if (columns.length === 0) throw new Fault("invalid-request", `${attempted}: no columns asked for`);
  const { former, table } = found;
  const reads = columns.map((column) => columnRead(table, column));
  const order = (options.orderBy ?? []).map((column) => columnRead(table, column));
  const fresh = rowsOnlyIn(table, former, parts.pathOf);
  const gone = rowsOnlyIn(former, table, parts.pathOf);
  const [own, others] = rows === "removed" ? [gone, fresh] : [fresh, gone];
  if (own === undefined || (rows === "replaced" && (others === undefined || table.key.length === 0))) return;
  const connection = await foreign(attempted, async () => (await parts.database()).connect());
  try {
    if (others === undefined) {
      const expected = rows === "added" ? table.rows - former.rows : former.rows - table.rows;
      yield* counted(relationBatches(connection, { attempted, relation: own, reads, options }), expected, attempted);
      return;
    }
    const key = table.key.map((column) => columnRead(table, column));
    const all = [...new Map([...reads, ...order].map((read) => [read.name, read])).values()];
    const sql = differenceSql({ rows, own, others, columns: all, key });
    const selected = rows === "replaced" ? [...renamed(reads, "before:"), ...renamed(reads, "after:")] : reads;
    yield* kept(connection, sql, { attempted, reads: selected, options });
  } finally {
    connection.closeSync();
  }
}

/** Kept while it is read, since looking for dictionaries reads it twice; it spills to disk where it is large. */
async function* kept(
  connection: DuckDBConnection,
  sql: string,
  scan: { readonly attempted: string; readonly reads: readonly ColumnRead[]; readonly options: ScanOptions },
): AsyncIterable<ColumnBatch> {
  await foreign(scan.attempted, () => connection.run(`CREATE TEMP TABLE difference AS ${sql}`));
  yield* relationBatches(connection, { ...scan, relation: "difference" });
}

async function* counted(
  batches: AsyncIterable<ColumnBatch>,
  expected: bigint,
  attempted: string,
): AsyncIterable<ColumnBatch> {
  let seen = 0n;
  for await (const batch of batches) {
    seen += BigInt(batch.rows);
    yield batch;
  }
  if (seen === expected) return;
  throw new Fault("data-corrupt", `${attempted}: there are ${seen} rows, the manifests differ by ${expected}`);
}

function renamed(reads: readonly ColumnRead[], prefix: string): ColumnRead[] {
  return reads.map((read) => ({ ...read, name: prefix + read.name }));
}
