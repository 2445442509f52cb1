import type { Segment, TableManifest } from "../../wire/generated/skynetes/v1/seal_pb.ts";

/**
 * The rows of a table's segments but those that removals name, as a relation for FROM; `undefined` when there are none.
 * Removals name rows by their place, so no key is compared: most rows are read as they lie.
 */
export function visibleRows(table: TableManifest, pathOf: (sha256: string) => string): string | undefined {
  const segments = table.segments.filter((segment) => segment.rows > 0n);
  if (segments.length === 0) return undefined;
  const removals = table.segments.flatMap((segment) => segment.removals ?? []).map(({ sha256 }) => pathOf(sha256));
  if (removals.length === 0) return parquet(segments.map(({ sha256 }) => pathOf(sha256)));
  const gone = parquet(removals);
  const each = segments.map((segment) => placed(segment, pathOf));
  return (
    `(SELECT r.* EXCLUDE (${SEGMENT}, ${ROW}) FROM (${each.join(" UNION ALL ")}) AS r ` +
    `ANTI JOIN ${gone} AS g ON ${isPlace("r", "g")})`
  );
}

/**
 * The rows that are visible in `table` and, by their place, not in `other`, a state of the same table: those of segments
 * that it alone has, and those that removals of the other alone name. `undefined` when there are none.
 */
export function rowsOnlyIn(
  table: TableManifest,
  other: TableManifest,
  pathOf: (sha256: string) => string,
): string | undefined {
  const others = new Set(other.segments.map(({ sha256 }) => sha256));
  const segments = table.segments.filter((segment) => segment.rows > 0n);
  const own = segments.filter(({ sha256 }) => !others.has(sha256));
  const shared = segments.filter(({ sha256 }) => others.has(sha256));
  const removals = removalsOf(table);
  const removed = removalsOf(other).filter((sha256) => !removals.includes(sha256));
  const isBack = removed.length > 0 && shared.length > 0;
  if (!isBack && removals.length === 0) return own.length === 0 ? undefined : parquet(own.map((s) => pathOf(s.sha256)));
  const parts = own.map((segment) => placed(segment, pathOf));
  const places = (files: readonly string[]) => parquet(files.map(pathOf));
  if (isBack) {
    const all = shared.map((segment) => placed(segment, pathOf)).join(" UNION ALL ");
    parts.push(`SELECT s.* FROM (${all}) AS s SEMI JOIN ${places(removed)} AS b ON ${isPlace("s", "b")}`);
  }
  if (parts.length === 0) return undefined;
  const visible = removals.length === 0 ? "" : ` ANTI JOIN ${places(removals)} AS g ON ${isPlace("r", "g")}`;
  return `(SELECT r.* EXCLUDE (${SEGMENT}, ${ROW}) FROM (${parts.join(" UNION ALL ")}) AS r${visible})`;
}

function removalsOf(table: TableManifest): string[] {
  return table.segments.flatMap(({ removals }) => (removals === undefined ? [] : [removals.sha256]));
}

function isPlace(row: string, place: string): string {
  return `${row}.${SEGMENT} = ${place}.segment AND ${row}.${ROW} = ${place}.row`;
}

const SEGMENT = '"skynetes:segment"';
const ROW = '"skynetes:row"';

function placed({ sha256 }: Segment, pathOf: (sha256: string) => string): string {
  return `SELECT *, ${literal(sha256)} AS ${SEGMENT}, file_row_number AS ${ROW} FROM ${parquet([pathOf(sha256)])}`;
}

function parquet(paths: readonly string[]): string {
  return `read_parquet([${paths.map(literal).join(", ")}])`;
}

function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
