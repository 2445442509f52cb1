import { create } from "@bufbuild/protobuf";
import type { ColumnType } from "../../mesh/column-type.ts";
import { columnKind } from "../../mesh/column-type.ts";
import type { TableSpec } from "../../mesh/table-spec.ts";
import {
  type ColumnStatistics,
  ColumnStatisticsSchema,
  type Segment,
} from "../../wire/generated/skynetes/v1/seal_pb.ts";

/** Statistics of a table from those of its segments: nulls add up, bounds widen and stay wide where rows were removed. */
export function combineStatistics(table: TableSpec, segments: readonly Segment[]): ColumnStatistics[] {
  return table.columns.map(({ name, type }, index) => {
    const removed = segments.reduce((sum, { removals }) => sum + (removals?.nulls[index] ?? 0n), 0n);
    const parts = segments.map((segment) => ({ rows: segment.rows, of: statisticsOf(segment, name) }));
    // Segments of nulls alone say nothing about the bounds; one with values but no bound makes them unknown.
    const bounding = parts.filter(({ rows, of }) => rows > of.nulls).map(({ of }) => of);
    const min = outermost(
      type,
      bounding.map((s) => s.min),
      -1,
    );
    const max = outermost(
      type,
      bounding.map((s) => s.max),
      1,
    );
    return create(ColumnStatisticsSchema, {
      column: name,
      nulls: parts.reduce((sum, { of }) => sum + of.nulls, 0n) - removed,
      ...(min === undefined ? {} : { min }),
      ...(max === undefined ? {} : { max }),
    });
  });
}

function statisticsOf(segment: Segment, column: string): ColumnStatistics {
  const found = segment.statistics.find((statistics) => statistics.column === column);
  // A segment that says nothing has values as far as anybody knows, and no bounds.
  return found ?? create(ColumnStatisticsSchema, { column });
}

function outermost(type: ColumnType, bounds: readonly (string | undefined)[], side: -1 | 1): string | undefined {
  let best: string | undefined;
  for (const bound of bounds) {
    if (bound === undefined) return undefined;
    if (best === undefined || Math.sign(compareBounds(type, bound, best)) === side) best = bound;
  }
  return best;
}

/** The order of two values that are given as the text of seals. */
export function compareBounds(type: ColumnType, a: string, b: string): number {
  const kind = columnKind(type);
  switch (kind.kind) {
    case "INT32":
    case "INT64":
      return order(BigInt(a), BigInt(b));
    case "DECIMAL":
      return order(unscaled(a), unscaled(b));
    case "DOUBLE":
      return order(Number(a), Number(b));
    case "STRING":
      return Buffer.compare(Buffer.from(a), Buffer.from(b));
    case "BOOLEAN":
    case "BYTES":
    case "DATE":
    case "TIMESTAMP":
      // Their texts have a fixed form that orders like the values; hex of a prefix comes before the whole.
      return order(a, b);
    default:
      kind satisfies never;
      throw new TypeError(`no order for ${type}`);
  }
}

function order<T extends bigint | number | string>(a: T, b: T): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Both bounds have the column's scale, so the point can go. */
function unscaled(decimal: string): bigint {
  return BigInt(decimal.replace(".", ""));
}
