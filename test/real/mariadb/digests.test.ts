/** The same rows on both stores: the same digests and bounds, the same files, and the same columns for services. */
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Cut } from "../../../src/mesh/cut.ts";
import type { TableSpec } from "../../../src/mesh/table-spec.ts";
import { MySqlPool } from "../../../src/mysql/mysql-pool.ts";
import { freezeShard } from "../../../src/node/snapshot/freeze-shard.ts";
import { ShardDirectory } from "../../../src/node/snapshot/shard-directory.ts";
import { DuckDbShardStore } from "../../../src/node/store/duckdb-shard-store.ts";
import type { IngestBatch, ShardStore, StoreValue } from "../../../src/node/store/shard-store.ts";
import { KnownDigests } from "../../../src/process/known-digests.ts";
import { withLoadDatabase } from "../../../src/service/load/load-database.ts";
import { snapshotOf } from "../../../src/service/load/scan-snapshot.ts";
import { segmentSource } from "../../../src/service/load/segment-source.ts";
import type { Column } from "../../../src/service/load/snapshot-reader.ts";
import { viewSource } from "../../../src/service/load/view-source.ts";
import { rowsOfFiles, tableSpec, testDirectory } from "../../node/node-fixture.ts";
import { loginOf, mariaDbWithUsers, openMySqlStore, serverOf } from "./mariadb-fixture.ts";
import type { MariaDbServer } from "./mariadb-server.ts";

let server: MariaDbServer;
let reader: MySqlPool;

beforeAll(async () => {
  server = await mariaDbWithUsers();
  reader = new MySqlPool(serverOf(server), loginOf("service"), { connectionsMax: 2, statementMs: 60_000 });
});

afterAll(async () => {
  await reader?.close();
  await server?.stop();
});

const COLUMNS = {
  flag: "BOOLEAN?",
  small: "INT32?",
  big: "INT64?",
  real: "DOUBLE?",
  amount: "DECIMAL(18,2)?",
  share: "DECIMAL(3,3)?",
  whole: "DECIMAL(38,0)?",
  wide: "DECIMAL(38,38)?",
  text: "STRING?",
  bytes: "BYTES?",
  day: "DATE?",
  time: "TIMESTAMP?",
};
const APPEND = tableSpec("appended", "Append", COLUMNS);
const UPSERT = tableSpec("upserted", "Upsert", { key: "STRING", ...COLUMNS }, { key: ["key"] });

const decimal = (digits: bigint) => fc.bigInt({ min: -(10n ** digits) + 1n, max: 10n ** digits - 1n });
/** Texts that a collation, a padding or an escape would take for others. */
const text = fc.oneof(
  fc.constantFrom("", " ", "a", "a ", "A", "ä", "a\u0308", "ß", "ss", "\u0000", "\\", "'", "\\'", "😀", "\uffff", "-"),
  fc.string({ unit: "binary", maxLength: 12 }).map((s) => s.toWellFormed()),
  // Longer than what a server looks at when it sorts, and different at the end alone.
  fc.constantFrom("x", "y").map((end) => "long ".repeat(600) + end),
);
const VALUES: fc.Arbitrary<StoreValue>[] = [
  fc.boolean(),
  fc.integer(),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  fc.oneof(
    fc.constantFrom(-0, 0, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 5e-324, 1e16, 1e-5),
    fc.double(),
  ),
  decimal(18n),
  decimal(3n),
  decimal(38n),
  decimal(38n),
  text,
  fc.uint8Array({ maxLength: 20 }),
  fc.integer({ min: -719_162, max: 2_932_896 }),
  fc.bigInt({ min: -62_135_596_800_000_000n, max: 253_402_300_799_999_999n }),
];
const cells = fc.tuple(...VALUES.map((value) => fc.option(value, { freq: 6 })));

const at = (table: TableSpec, rows: number): Cut => [
  { topic: table.topic, topicId: "t1", partition: 0, position: BigInt(rows) },
];

function batch(table: TableSpec, rows: readonly (readonly StoreValue[])[], removed: readonly boolean[]): IngestBatch {
  const decoded = rows.map((values, i) => {
    const tombstone = removed[i] === true;
    // A tombstone has values for its key alone.
    const kept = tombstone ? values.map((value, place) => (place === 0 ? value : null)) : values;
    return { table: table.name, partition: 0, offset: BigInt(i), values: kept, tombstone };
  });
  const to = BigInt(rows.length);
  return { topic: table.topic, topicId: "t1", partition: 0, from: 0n, to, rows: decoded, rejects: [] };
}

test("any rows have one digest, one file and one scan on both stores, at any cut", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(cells, { minLength: 1, maxLength: 25 }),
      fc.array(fc.tuple(text, cells, fc.boolean()), { minLength: 1, maxLength: 25 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      async (appended, upserted, fraction) => {
        const directory = await testDirectory();
        const tables = [APPEND, UPSERT];
        const spill = { memoryLimit: "256MB", threads: 1, temporaryDirectory: join(directory, "spill") };
        const duck = await DuckDbShardStore.open(join(directory, "ingest.duckdb"), tables, spill);
        const mysql = await openMySqlStore(server, directory, tables);
        try {
          const keyed = upserted.map(([key, values]) => [key, ...values]);
          const removed = upserted.map(([, , tombstone]) => tombstone);
          for (const store of [duck, mysql]) {
            await store.commit(batch(APPEND, appended, []));
            await store.commit(batch(UPSERT, keyed, removed));
          }
          for (const share of [1, fraction]) {
            const counts = [appended.length, keyed.length].map((length) => Math.floor(length * share));
            for (const [i, table] of tables.entries()) await sameSegment(duck, mysql, table, counts[i]!, directory);
            const cut = tables.flatMap((table, i) => at(table, counts[i]!));
            await sameSnapshot(duck, mysql, tables, cut, join(directory, `frozen-${share}`));
          }
        } finally {
          await duck.close();
          await mysql.close();
        }
      },
    ),
    { numRuns: 20 },
  );
});

async function sameSegment(duck: ShardStore, mysql: ShardStore, table: TableSpec, rows: number, directory: string) {
  const write = async (store: ShardStore, name: string) => {
    const path = join(directory, `${name}-${table.name}-${rows}.parquet`);
    const content = await store.writeSegment({ table: table.name, from: [], to: at(table, rows), path });
    // Of 0.0 and -0.0 either is the least or greatest: they are equal.
    const bound = (value: string | undefined) => value?.replace(/^-0\.0$/, "0.0");
    const statistics = content.statistics.map((s) => [s.column, s.nulls, bound(s.min), bound(s.max)]);
    return { rows: content.rows, digest: content.digest, statistics, file: await rowsOfFiles([path]) };
  };
  expect(await write(mysql, "mysql")).toEqual(await write(duck, "duck"));
}

async function sameSnapshot(duck: ShardStore, mysql: ShardStore, tables: TableSpec[], cut: Cut, directory: string) {
  const frozen = async (store: ShardStore, name: string) => {
    const shard = await ShardDirectory.open(join(directory, name));
    const { manifest, manifestSha256 } = await freezeShard({
      ...{ mesh: "m", shard: 0, snapshot: "s", cut, tables, earlier: [], store, directory: shard },
    });
    const { stateDigest } = manifest;
    return {
      manifest,
      files: {
        mesh: "m",
        shard: 0,
        snapshot: "s",
        directory: shard.path,
        manifestSha256,
        stateDigest,
        advanceFrom: [],
      },
    };
  };
  const [one, other] = [await frozen(duck, "duck"), await frozen(mysql, "mysql")];
  expect(other.manifest.stateDigest).toBe(one.manifest.stateDigest);
  expect(one.manifest.views).toBeUndefined();
  const sources = [
    await segmentSource(one.manifest, one.files, new KnownDigests()),
    await segmentSource(other.manifest, other.files, new KnownDigests()),
    await viewSource(other.manifest, other.manifest.views!, reader),
  ];
  const load = { memoryBytes: 256 * 2 ** 20, threads: 1, instance: "test" };
  for (const { name, columns } of tables) {
    const names = columns.map((column) => column.name);
    const scans = await Promise.all(
      sources.map((source) =>
        withLoadDatabase(load, async (database) => {
          const rows: unknown[][] = [];
          const scan = snapshotOf(other.manifest, source, database, undefined).scan(name, names, { orderBy: names });
          for await (const batch of scan) {
            expect(batch.rows).toBeLessThanOrEqual(2048);
            for (let row = 0; row < batch.rows; row++) rows.push(batch.columns.map((column) => cellOf(column, row)));
          }
          return rows;
        }),
      ),
    );
    expect(scans[1]).toEqual(scans[0]);
    expect(scans[2]).toEqual(scans[0]);
  }
}

function cellOf(column: Column, row: number): unknown {
  if (column.nulls?.[row] === 1) return null;
  return column.type === "STRING" ? column.dictionary[column.codes[row]!] : column.values[row];
}

test("a view that no longer shows what was frozen is refused, naming it", async () => {
  const directory = await testDirectory();
  const store = await openMySqlStore(server, directory, [APPEND, UPSERT]);
  const row: StoreValue[] = [true, 1, 1n, 0.5, 1n, 1n, 1n, 1n, "a", Uint8Array.of(1), 1, 1n];
  await store.commit(batch(APPEND, [row, row], []));
  const cut = [...at(APPEND, 2), ...at(UPSERT, 0)];
  const shard = await ShardDirectory.open(join(directory, "frozen"));
  await store.commit({ ...batch(UPSERT, [["k", ...row]], []) });
  const request = {
    mesh: "m",
    shard: 0,
    snapshot: "s",
    tables: [APPEND, UPSERT],
    earlier: [],
    store,
    directory: shard,
  };
  const { manifest } = await freezeShard({ ...request, cut });
  await viewSource(manifest, manifest.views!, reader);
  // As a mistake of the server's administrator would make it: another cut under the same name.
  await store.views.publish("s", [...at(APPEND, 1), ...at(UPSERT, 0)]);
  await expect(viewSource(manifest, manifest.views!, reader)).rejects.toMatchObject({
    id: "data-corrupt",
    message: expect.stringContaining("s:appended"),
  });
  await store.close();
});
