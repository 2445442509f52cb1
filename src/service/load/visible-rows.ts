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
    `ANTI JOIN ${gone} AS g ON r.${SEGMENT} = g.segment AND r.${ROW} = g.row)`
  );
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
