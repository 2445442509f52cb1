import type { ShardManifest, TableManifest } from "../../wire/generated/skynetes/v1/seal_pb.ts";
import type { ChangedTable } from "./snapshot-changes.ts";

/** One table at the two snapshots. */
export interface TableDifference {
  readonly former: TableManifest;
  readonly table: TableManifest;
  /** Seen from the files alone. */
  readonly change: ChangedTable["change"];
}

/**
 * How `next` differs from `previous`, without reading a row. Undefined: the two cannot be compared by their segments, since
 * a table is described otherwise, or its rows are not those of its segments less those that removals name.
 */
export function manifestDifference(
  previous: ShardManifest,
  next: ShardManifest,
): ReadonlyMap<string, TableDifference> | undefined {
  const before = new Map(previous.tables.map((table) => [table.name, table]));
  if (previous.tables.length !== next.tables.length) return undefined;
  const found = new Map<string, TableDifference>();
  for (const table of next.tables) {
    const former = before.get(table.name);
    if (former === undefined || shapeOf(former) !== shapeOf(table)) return undefined;
    if (!isCounted(former) || !isCounted(table)) return undefined;
    found.set(table.name, { former, table, change: changeOf(former, table) });
  }
  return found;
}

function shapeOf({ columns, key }: TableManifest): string {
  return JSON.stringify([columns.map(({ name, type }) => [name, type]), key]);
}

/** Two equal files in a table would make one place of two rows. */
function isCounted({ segments, rows }: TableManifest): boolean {
  const visible = segments.reduce((sum, segment) => sum + segment.rows - (segment.removals?.rows ?? 0n), 0n);
  return visible === rows && new Set(segments.map(({ sha256 }) => sha256)).size === segments.length;
}

function changeOf(former: TableManifest, table: TableManifest): ChangedTable["change"] {
  const [before, after] = [filesOf(former), filesOf(table)];
  if ([...before].some((file) => !after.has(file))) return "any";
  if (after.size === before.size) return "none";
  const isGrown = table.key.length === 0 && table.segments.every(({ removals }) => removals === undefined);
  return isGrown ? "added" : "any";
}

function filesOf({ segments }: TableManifest): ReadonlySet<string> {
  return new Set(
    segments.flatMap(({ sha256, removals }) => (removals === undefined ? [sha256] : [sha256, removals.sha256])),
  );
}
