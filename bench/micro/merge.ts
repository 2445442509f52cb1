/**
 * `merge`: what it takes to make one answer of many partials, from their bytes on the wire to the answer's.
 *
 * Groups: every shard sends every group, in an order of its own; a group is a key of 7 to 12 characters and three int64,
 * which are summed. Sorted: every shard sends rows of an int64, a string and a double in order; the answer is all of
 * them. The partials come as row messages (protobuf) or as columns, and are merged as a gateway merges them, in slices
 * with nothing in between. `interpreted` is the merge by message objects. The peers are DuckDB in the same process, two
 * threads, an in-memory table: appending the same rows, which it is handed decoded, chunk by chunk, and grouping (or
 * sorting) them into Arrow-like chunks that nobody reads; and the grouping alone.
 *
 * The figure is processor time (user and system) of the whole process, since the machine is shared: medians of
 * interleaved runs, after one that warms up. The longest slice is thread time between two pauses of the merge.
 */
import { createHash } from "node:crypto";
import { create, type DescMethod, toBinary } from "@bufbuild/protobuf";
import { BIGINT, DOUBLE, type DuckDBConnection, DuckDBDataChunk, DuckDBInstance, VARCHAR } from "@duckdb/node-api";
import type { Slices } from "../../src/accumulator/sliced-sort.ts";
import { unsliced } from "../../src/accumulator/sliced-sort.ts";
import { interpretedMerge } from "../../src/gateway/merge/interpreted-merge.ts";
import type { Partial } from "../../src/gateway/merge/merge-execution.ts";
import { startMerge } from "../../src/gateway/merge/start-merge.ts";
import { compileMethod } from "../../src/merge-plan/compile-method.ts";
import { encodeColumns } from "../../src/service/serve/encode-columns.ts";
import { methodsOf, rule } from "../../test/merge-plan/annotated-service.ts";
import { seeded } from "../../test/oracle/drive-merge.ts";
import type { BenchReport } from "../bench.ts";
import { median } from "../harness/report/median.ts";

const LIMITS = { groupBytesMax: 2 ** 32 };
const CHUNK_ROWS = 2048;

interface Work {
  readonly name: string;
  readonly method: DescMethod;
  readonly shards: number;
  readonly rows: number;
  /** Of one shard: a column for each field. */
  columnsOf(shard: number): readonly (readonly (string | bigint | number)[])[];
  readonly fields: readonly string[];
  readonly list: string;
  readonly table: string;
  readonly query: string;
}

const GROUPS = methodsOf({
  messages: {
    Req: [],
    Entry: [
      { name: "k", type: "string" },
      ...["a", "b", "c"].map((name) => ({ name, type: "int64", merge: rule("sum") })),
    ],
    Res: [{ name: "groups", type: "repeated Entry", merge: rule("group", { key: ["k"] }) }],
  },
})[0]!;
const SORTED = methodsOf({
  messages: {
    Req: [],
    Row: [
      { name: "ts", type: "int64" },
      { name: "k", type: "string" },
      { name: "d", type: "double" },
    ],
    Res: [
      {
        name: "rows",
        type: "repeated Row",
        merge: rule("sorted", { by: [{ field: "ts" }, { field: "k" }, { field: "d" }] }),
      },
    ],
  },
})[0]!;

function grouped(shards: number, rows: number): Work {
  return {
    name: `${shards} × ${rows} groups`,
    method: GROUPS,
    shards,
    rows,
    columnsOf(shard) {
      const keys = seeded(shard + 1).shuffle(Array.from({ length: rows }, (_, n) => n));
      return [
        keys.map((n) => `group-${n}`),
        keys.map((n) => BigInt(n * 17 + shard)),
        keys.map((n) => BigInt(n % 1000)),
        keys.map((n) => BigInt((n * 31) % 100_000)),
      ];
    },
    fields: ["k", "a", "b", "c"],
    list: "groups",
    table: "(k VARCHAR, a BIGINT, b BIGINT, c BIGINT)",
    query: "SELECT k, sum(a)::BIGINT, sum(b)::BIGINT, sum(c)::BIGINT FROM t GROUP BY k",
  };
}

function sortedRows(shards: number, rows: number): Work {
  return {
    name: `${shards} × ${rows} sorted rows`,
    method: SORTED,
    shards,
    rows,
    columnsOf(shard) {
      const random = seeded(shard + 1);
      const at = Array.from({ length: rows }, () => random.below(2 ** 31)).sort((a, b) => a - b);
      return [at.map(BigInt), at.map((n) => `row-${n % 5000}`), at.map((n) => n / 8)];
    },
    fields: ["ts", "k", "d"],
    list: "rows",
    table: "(ts BIGINT, k VARCHAR, d DOUBLE)",
    query: "SELECT * FROM t ORDER BY ts, k, d",
  };
}

type Encoded = Pick<Partial, "message" | "format">;

function encode(work: Work, format: "rows" | "columns"): Encoded[] {
  const plan = compileMethod(work.method);
  return Array.from({ length: Math.min(work.shards, 32) }, (_, shard) => {
    const columns = work.columnsOf(shard);
    const elements = columns[0]!.map((_, row) =>
      Object.fromEntries(work.fields.map((name, at) => [name, columns[at]![row]])),
    );
    const reply = { [work.list]: elements };
    if (format === "columns") return { message: Buffer.concat(unsliced(encodeColumns(plan, reply))!), format };
    return { message: toBinary(work.method.output, create(work.method.output, reply as never)) };
  });
}

interface Measured {
  readonly cpuMs: number;
  readonly longestSliceMs: number;
  readonly digest: string;
}

function measureMerge(
  work: Work,
  kind: typeof startMerge,
  partials: readonly Encoded[],
  isSlicesTimed: boolean,
): Measured {
  const plan = compileMethod(work.method);
  const shards = Array.from({ length: work.shards }, (_, shard) => shard);
  let longest = 0;
  const run = <T>(slices: Slices<T>): T => {
    if (!isSlicesTimed) return unsliced(slices);
    for (;;) {
      const began = process.threadCpuUsage();
      const turn = slices.next();
      const { user, system } = process.threadCpuUsage(began);
      longest = Math.max(longest, user + system);
      if (turn.done) return turn.value;
    }
  };
  const began = process.cpuUsage();
  const merge = kind(plan, create(work.method.input), shards, LIMITS);
  for (const [shard, request] of merge.begin().entries()) {
    run(merge.acceptSlices({ shard, request, bounds: undefined, ...partials[shard % partials.length]! }));
  }
  const pieces = run(merge.finishSlices());
  const { user, system } = process.cpuUsage(began);
  const hash = createHash("sha256");
  for (const piece of pieces) hash.update(piece);
  return { cpuMs: (user + system) / 1000, longestSliceMs: longest / 1000, digest: hash.digest("hex") };
}

async function measureDuckDb(work: Work, connection: DuckDBConnection) {
  const types = work.table.includes("DOUBLE") ? [BIGINT, VARCHAR, DOUBLE] : [VARCHAR, BIGINT, BIGINT, BIGINT];
  const decoded = Array.from({ length: Math.min(work.shards, 32) }, (_, shard) => work.columnsOf(shard));
  await connection.run(`CREATE OR REPLACE TABLE t ${work.table}`);
  const began = process.cpuUsage();
  const appender = await connection.createAppender("t");
  const chunk = DuckDBDataChunk.create(types, CHUNK_ROWS);
  for (let shard = 0; shard < work.shards; shard++) {
    const columns = decoded[shard % decoded.length]!;
    for (let from = 0; from < work.rows; from += CHUNK_ROWS) {
      chunk.reset();
      chunk.setColumns(columns.map((column) => column.slice(from, from + CHUNK_ROWS)));
      appender.appendDataChunk(chunk);
    }
  }
  appender.closeSync();
  const appended = process.cpuUsage(began);
  const queryBegan = process.cpuUsage();
  const result = await connection.run(work.query);
  let rows = 0;
  for (let next = await result.fetchChunk(); next !== null && next.rowCount > 0; next = await result.fetchChunk())
    rows += next.rowCount;
  const queried = process.cpuUsage(queryBegan);
  if (rows === 0) throw new Error("DuckDB answered nothing");
  const [append, query] = [appended, queried].map(({ user, system }) => (user + system) / 1000) as [number, number];
  return { append, query };
}

export async function run(options: readonly string[]): Promise<BenchReport> {
  const rounds = Number(options[0] ?? 5);
  const instance = await DuckDBInstance.create(":memory:", { threads: "2" });
  const connection = await instance.connect();
  const rows: Record<string, string | number>[] = [];
  for (const work of [grouped(1000, 1000), grouped(16, 100_000), sortedRows(16, 100_000)]) {
    const [asRows, asColumns] = [encode(work, "rows"), encode(work, "columns")];
    const ways = {
      columns: (isSlicesTimed: boolean) => measureMerge(work, startMerge, asColumns, isSlicesTimed),
      rows: (isSlicesTimed: boolean) => measureMerge(work, startMerge, asRows, isSlicesTimed),
      interpreted: (isSlicesTimed: boolean) => measureMerge(work, interpretedMerge, asRows, isSlicesTimed),
    };
    const runs: Record<keyof typeof ways, Measured[]> = { columns: [], rows: [], interpreted: [] };
    const duckDb: { append: number; query: number }[] = [];
    for (let round = 0; round <= rounds; round++) {
      for (const way of ["columns", "rows", "interpreted"] as const) {
        // The interpreter takes long, and its place in the table is known after a few runs.
        if (way === "interpreted" && round > 1) continue;
        // Looking at the clock between slices costs more than a slice: the time is that of other runs.
        const { longestSliceMs } = ways[way](true);
        const measured = { ...ways[way](false), longestSliceMs };
        if (round > 0) runs[way].push(measured);
      }
      const measured = await measureDuckDb(work, connection);
      if (round > 0) duckDb.push(measured);
    }
    const digests = new Set(Object.values(runs).flatMap((all) => all.map(({ digest }) => digest)));
    if (digests.size !== 1) throw new Error(`${work.name}: the ways do not agree`);
    const perRow = (ms: number) => Math.round((ms * 1e6) / work.shards / work.rows);
    const add = (way: string, cpuMs: number, more: Record<string, number>) =>
      rows.push({ work: work.name, way, cpuMs: Math.round(cpuMs), nsPerRow: perRow(cpuMs), ...more });
    for (const [way, measured] of Object.entries(runs)) {
      add(way, median(measured.map(({ cpuMs }) => cpuMs)), {
        longestSliceMs: Math.round(100 * median(measured.map(({ longestSliceMs }) => longestSliceMs))) / 100,
      });
    }
    add("duckdb, append and query", median(duckDb.map(({ append, query }) => append + query)), {});
    add("duckdb, query alone", median(duckDb.map(({ query }) => query)), {});
  }
  connection.closeSync();
  instance.closeSync();
  return { rows };
}
