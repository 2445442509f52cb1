import { createHash } from "node:crypto";
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { create, type MessageInitShape, toJsonString } from "@bufbuild/protobuf";
import { DuckDBInstance } from "@duckdb/node-api";
import { type SegmentSchema, ShardManifestSchema } from "../../src/wire/generated/skynetes/v1/seal_pb.ts";

/** A table of a test's shard: each of `segments` is a SELECT whose rows become one Parquet file. */
export interface FixtureTable {
  readonly name: string;
  readonly broadcast?: boolean;
  readonly columns: readonly { readonly name: string; readonly type: string; readonly nullable?: boolean }[];
  readonly segments: readonly string[];
  /** Rows that are visible no more: the segment's place in `segments`, the row's in its file. They come with the last one. */
  readonly removed?: readonly (readonly [segment: number, row: number])[];
  /** Of an upsert table. */
  readonly key?: readonly string[];
  /** What the manifest says, where it is to be wrong. */
  readonly rows?: bigint;
}

export interface FixtureShard {
  readonly mesh: string;
  readonly shard: number;
  readonly snapshot: string;
  readonly directory: string;
  readonly manifestSha256: string;
  readonly stateDigest: string;
  readonly segments: readonly string[];
}

/** Writes a shard of a snapshot in the layout that node agents write: real Parquet files, named by their digests. */
export async function writeShard(
  directory: string,
  id: { readonly shard: number; readonly snapshot: string; readonly mesh?: string },
  tables: readonly FixtureTable[],
): Promise<FixtureShard> {
  const mesh = id.mesh ?? "test";
  const database = await DuckDBInstance.create(":memory:", { threads: "1" });
  const connection = await database.connect();
  await mkdir(join(directory, "segments"), { recursive: true });
  await mkdir(join(directory, "snapshots", id.snapshot), { recursive: true });
  const paths: string[] = [];
  const writeParquet = async (name: string, select: string) => {
    const temporary = join(directory, "segments", `${id.snapshot}-${id.shard}-${name}.tmp`);
    await connection.run(`COPY (${select}) TO '${temporary}' (FORMAT parquet)`);
    const counted = await connection.runAndReadAll(`SELECT count(*) FROM read_parquet('${temporary}')`);
    const bytes = await readFile(temporary);
    const sha256 = sha256Of(bytes);
    const path = join(directory, "segments", `${sha256}.parquet`);
    await rename(temporary, path);
    paths.push(path);
    return { sha256, bytes: BigInt(bytes.length), rows: counted.getRows()[0]?.[0] as bigint };
  };
  const manifests = [];
  for (const table of tables) {
    const segments: MessageInitShape<typeof SegmentSchema>[] = [];
    for (const [index, select] of table.segments.entries()) {
      segments.push(await writeParquet(`${table.name}-${index}`, select));
    }
    const removed = table.removed ?? [];
    if (removed.length > 0) {
      const places = removed.map(([segment, row]) => `('${segments[segment]?.sha256}', ${row})`).join(", ");
      const select = `SELECT * FROM (VALUES ${places}) AS places(segment, row)`;
      segments.at(-1)!.removals = await writeParquet(`${table.name}-removals`, select);
    }
    const held = segments.reduce((sum, segment) => sum + (segment.rows ?? 0n), 0n);
    const rows = table.rows ?? held - BigInt(removed.length);
    manifests.push({
      name: table.name,
      broadcast: table.broadcast ?? false,
      columns: table.columns.map((column) => ({ nullable: false, ...column })),
      rows,
      segments,
      key: [...(table.key ?? [])],
    });
  }
  connection.closeSync();
  database.closeSync();
  // The kit compares digests and does not compute them, so any hex that depends on the content will do.
  const stateDigest = sha256Of(paths.map((path) => path.slice(-72)).join()).slice(0, 32);
  const manifest = create(ShardManifestSchema, { mesh, ...idOnly(id), tables: manifests, stateDigest });
  const text = toJsonString(ShardManifestSchema, manifest);
  await writeFile(join(directory, "snapshots", id.snapshot, "manifest.json"), text);
  return { mesh, ...idOnly(id), directory, manifestSha256: sha256Of(text), stateDigest, segments: paths };
}

function idOnly(id: { readonly shard: number; readonly snapshot: string }) {
  return { shard: id.shard, snapshot: id.snapshot };
}

export function sha256Of(bytes: Uint8Array | string): string {
  return createHash("sha256").update(bytes).digest("hex");
}
