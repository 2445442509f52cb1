import { create } from "@bufbuild/protobuf";
import type { TableSpec } from "../../mesh/table-spec.ts";
import { type ColumnStatistics, ColumnStatisticsSchema } from "../../wire/generated/skynetes/v1/seal_pb.ts";
import type { RemovedContent, SegmentContent } from "./shard-store.ts";

/** Longer bounds are left out: they would make seals large and exclude little. */
const BOUND_BYTES_MAX = 64;

/** The one row that `describeRows` selects. */
export function segmentContent(table: TableSpec, row: readonly (string | null)[]): SegmentContent {
  const [rows, upper, lower, ...columns] = row;
  const hex = (half: string | null | undefined) => BigInt(half!).toString(16).padStart(16, "0");
  return {
    rows: BigInt(rows!),
    digest: hex(upper) + hex(lower),
    statistics: table.columns.map((column, i) => statisticsOf(table, column.name, columns.slice(i * 3, i * 3 + 3))),
  };
}

/** Of rows that are taken away; their bounds say nothing about those that stay. */
export function removedContent({ rows, digest, statistics }: SegmentContent): RemovedContent {
  return { rows, digest, nulls: statistics.map(({ nulls }) => nulls) };
}

function statisticsOf(table: TableSpec, column: string, texts: readonly (string | null)[]): ColumnStatistics {
  const [nulls, min, max] = texts;
  const type = table.columns.find((c) => c.name === column)!.type;
  const bytesMax = type === "BYTES" ? BOUND_BYTES_MAX * 2 : BOUND_BYTES_MAX;
  const bound = (text: string | null | undefined) => text != null && Buffer.byteLength(text) <= bytesMax;
  return create(ColumnStatisticsSchema, {
    column,
    nulls: BigInt(nulls!),
    ...(bound(min) ? { min: min! } : {}),
    ...(bound(max) ? { max: max! } : {}),
  });
}
