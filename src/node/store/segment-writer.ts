import type { DuckDBConnection } from "@duckdb/node-api";
import { type Cut, cutText } from "../../mesh/cut.ts";
import type { TableSpec } from "../../mesh/table-spec.ts";
import { literal } from "./duckdb-schema.ts";
import { removedContent, segmentContent } from "./segment-content.ts";
import { describeRows, fileColumns, isSplit, keyOf, newestRecords, segmentSelect, visibleOf } from "./segment-sql.ts";
import type { MergeRequest, RemovedContent, SegmentContent, SegmentRequest, StoredSegment } from "./shard-store.ts";
import { parquet, removedPlaces, rowsOf, sameKey, samePlace, visibleRows } from "./stored-rows.ts";

/** Temporary tables of the connection: the newest records of a tail, and places of rows that are visible no more. */
const TAIL = 'temp."skynetes:tail"';
const GONE = 'temp."skynetes:gone"';

/** What [from, to) adds to a state. One call at a time on a connection. */
export async function writeTail(
  connection: DuckDBConnection,
  table: TableSpec,
  request: SegmentRequest,
): Promise<SegmentContent> {
  const { from, to, path, base = [], removalsPath } = request;
  if (table.kind === "Append" || base.length === 0) {
    return writeRows(connection, table, segmentSelect(table, from, to), path, tailOrigin(from, to));
  }
  const split = isSplit(to);
  try {
    await connection.run(`CREATE OR REPLACE TEMP TABLE "skynetes:tail" AS ${newestRecords(table, from, to)}`);
    const content = await writeRows(connection, table, visibleOf(table, TAIL, split), path, tailOrigin(from, to));
    const replaced =
      `SELECT r."skynetes:segment" AS segment, r."skynetes:row" AS row FROM ${visibleRows(base)} AS r ` +
      `SEMI JOIN ${TAIL} AS t ON ${sameKey("r", "t", keyOf(table, split))}`;
    return withRemovals(content, await writeRemovals(connection, table, replaced, base, removalsPath!));
  } finally {
    await connection.run(`DROP TABLE IF EXISTS ${TAIL}`);
  }
}

/** One segment of several, with what they removed from those before them. */
export async function writeMerged(
  connection: DuckDBConnection,
  table: TableSpec,
  { segments, first, path, removalsPath }: MergeRequest,
): Promise<SegmentContent> {
  const [before, merged] = [segments.slice(0, first), segments.slice(first)];
  const split = table.kind === "Upsert" && (await hasPartitions(connection, merged));
  const order = table.kind === "Upsert" ? ` ORDER BY ${keyOf(table, split).join(", ")}` : "";
  const select = `SELECT ${fileColumns(table, split)} FROM ${visibleRows(merged)}${order}`;
  const origin = merged.map(({ sha256 }) => sha256).join(" ");
  const content = await writeRows(connection, table, select, path, origin);
  const places = removedPlaces(merged, before);
  if (places === undefined) return content;
  return withRemovals(content, await writeRemovals(connection, table, places, before, removalsPath));
}

async function hasPartitions(connection: DuckDBConnection, segments: readonly StoredSegment[]): Promise<boolean> {
  const found = await connection.runAndReadAll(`SELECT * FROM ${parquet([segments[0]!.path])} LIMIT 0`);
  return found.columnNames().includes("skynetes:partition");
}

function tailOrigin(from: Cut, to: Cut): string {
  return `${cutText(from)} to ${cutText(to)}`;
}

/**
 * Removals name a segment by its content, so no two of a state may be alike: rows that are sent again as they were would
 * make the same file again, and what removes the old ones would remove the new. So a file says what it was made of.
 */
async function writeRows(connection: DuckDBConnection, table: TableSpec, select: string, path: string, origin: string) {
  const metadata = table.kind === "Upsert" ? `, KV_METADATA {origin: ${literal(origin)}}` : "";
  // Snappy loads faster than zstd and takes less time to write; segments are read far more often than moved.
  await connection.run(`COPY (${select}) TO ${literal(path)} (FORMAT parquet, COMPRESSION snappy${metadata})`);
  const found = await connection.runAndReadAll(describeRows(table, parquet([path])));
  return segmentContent(table, found.getRows()[0] as (string | null)[]);
}

/** Only the rows that are removed are read whole, to be taken out of digest and statistics. */
async function writeRemovals(
  connection: DuckDBConnection,
  table: TableSpec,
  places: string,
  from: readonly StoredSegment[],
  path: string,
): Promise<RemovedContent> {
  try {
    await connection.run(`CREATE OR REPLACE TEMP TABLE "skynetes:gone" AS ${places}`);
    await connection.run(
      `COPY (SELECT * FROM ${GONE} ORDER BY segment, row) TO ${literal(path)} (FORMAT parquet, COMPRESSION snappy)`,
    );
    const removed = `(SELECT r.* FROM ${rowsOf(from)} AS r SEMI JOIN ${GONE} AS g ON ${samePlace("r", "g")})`;
    const found = await connection.runAndReadAll(describeRows(table, removed));
    return removedContent(segmentContent(table, found.getRows()[0] as (string | null)[]));
  } finally {
    await connection.run(`DROP TABLE IF EXISTS ${GONE}`);
  }
}

function withRemovals(content: SegmentContent, removals: RemovedContent): SegmentContent {
  return removals.rows === 0n ? content : { ...content, removals };
}
