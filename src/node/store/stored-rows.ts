import { literal } from "./duckdb-schema.ts";
import type { StoredSegment } from "./shard-store.ts";

/** Where a row of a segment file is: the file's name and the place in it, from 0. */
export const PLACE = { segment: '"skynetes:segment"', row: '"skynetes:row"' };

/** All rows of segment files, each with its place. Columns are those of the files. */
export function rowsOf(segments: readonly StoredSegment[]): string {
  const each = segments.map(
    ({ sha256, path }) =>
      `SELECT *, ${literal(sha256)} AS ${PLACE.segment}, file_row_number AS ${PLACE.row} FROM ${parquet([path])}`,
  );
  return `(${each.join(" UNION ALL ")})`;
}

/** Those that no removals name. */
export function visibleRows(segments: readonly StoredSegment[]): string {
  const gone = removalFiles(segments);
  if (gone.length === 0) return rowsOf(segments);
  return `(SELECT r.* FROM ${rowsOf(segments)} AS r ANTI JOIN ${parquet(gone)} AS g ON ${samePlace("r", "g")})`;
}

/** Places that removals of `segments` name in the files of `others`; `undefined`: there are none. */
export function removedPlaces(
  segments: readonly StoredSegment[],
  others: readonly StoredSegment[],
): string | undefined {
  const files = removalFiles(segments);
  if (files.length === 0 || others.length === 0) return undefined;
  const names = others.map(({ sha256 }) => literal(sha256)).join(", ");
  return `SELECT segment, row FROM ${parquet(files)} WHERE segment IN (${names})`;
}

/** Of a row with its place, and a file or table of removals. */
export function samePlace(row: string, removal: string): string {
  return `${row}.${PLACE.segment} = ${removal}.segment AND ${row}.${PLACE.row} = ${removal}.row`;
}

export function parquet(paths: readonly string[]): string {
  return `read_parquet([${paths.map(literal).join(", ")}])`;
}

/** Keys are equal as values are, two nulls too. */
export function sameKey(a: string, b: string, key: readonly string[]): string {
  return key.map((column) => `${a}.${column} IS NOT DISTINCT FROM ${b}.${column}`).join(" AND ");
}

function removalFiles(segments: readonly StoredSegment[]): string[] {
  return segments.flatMap(({ removalsPath }) => (removalsPath === undefined ? [] : [removalsPath]));
}
