import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { DuckDBConnection, DuckDBInstance } from "@duckdb/node-api";
import { expect, onTestFinished, test, vi } from "vitest";
import type { TableSpec } from "../../src/mesh/table-spec.ts";
import { DuckDbShardStore } from "../../src/node/store/duckdb-shard-store.ts";
import { shardStoreAcceptance } from "../acceptance/shard-store.suite.ts";
import { tableSpec, testDirectory } from "./node-fixture.ts";

const options = (directory: string) => ({
  memoryLimit: "256MB",
  threads: 1,
  temporaryDirectory: join(directory, "spill"),
});

shardStoreAcceptance("DuckDB", (directory, tables) =>
  DuckDbShardStore.open(join(directory, "ingest.duckdb"), tables, options(directory)),
);

test("another process is told who holds the store", async () => {
  const directory = await testDirectory();
  const tables = [tableSpec("t", "Append", { a: "INT64" })];
  const store = await DuckDbShardStore.open(join(directory, "ingest.duckdb"), tables, options(directory));
  const script = `
    const { DuckDbShardStore } = await import(${JSON.stringify(join(import.meta.dirname, "../../src/node/store/duckdb-shard-store.ts"))});
    await DuckDbShardStore.open(${JSON.stringify(join(directory, "ingest.duckdb"))}, [], ${JSON.stringify(options(directory))})
      .then(() => console.log("opened"), (fault) => console.log(fault.id, fault.message));
    process.exit(0);`;
  const child = spawnSync(process.execPath, ["--input-type=module", "-e", script], { encoding: "utf8" });
  expect(child.stdout).toMatch(/^store-locked .*/);
  expect(child.stdout).toContain(String(process.pid));
  await store.close();
});

test.each<[string, Partial<TableSpec>]>([
  ["topic", { topic: "other" }],
  ["kind", { kind: "Append", key: [] }],
  ["distribution", { distribution: "Broadcast" }],
  ["key", { key: ["b"] }],
  ["nullability of a column", { columns: tableSpec("t", "Upsert", { a: "INT64", b: "STRING" }).columns }],
])("a table with another %s than the store was built with is refused, and its own opens again", async (_, change) => {
  const directory = await testDirectory();
  const path = join(directory, "ingest.duckdb");
  const built = tableSpec("t", "Upsert", { a: "INT64", b: "STRING?" }, { key: ["a"] });
  const open = (tables: TableSpec[]) => DuckDbShardStore.open(path, tables, options(directory));
  await (await open([built])).close();
  await expect(open([{ ...built, ...change }])).rejects.toMatchObject({
    id: "invalid-manifest",
    message: expect.stringContaining('open table "t"'),
  });
  // Equal but for the order of its fields, and beside a table that is new.
  const { columns, key, ...rest } = built;
  await (await open([{ columns, key, ...rest }, tableSpec("new", "Append", { a: "INT64" })])).close();
});

test("a store that could not be opened again after a failure is opened by the next call that finds it can", async () => {
  const directory = await testDirectory();
  const tables = [tableSpec("t", "Append", { a: "INT64" })];
  const store = await DuckDbShardStore.open(join(directory, "ingest.duckdb"), tables, options(directory));
  onTestFinished(() => {
    vi.restoreAllMocks();
  });
  vi.spyOn(DuckDBConnection.prototype, "runAndReadAll").mockRejectedValueOnce(new Error("FATAL Error: no space left"));
  vi.spyOn(DuckDBInstance, "create").mockRejectedValueOnce(new Error("IO Error: no space left"));
  await expect(store.rejected()).rejects.toMatchObject({ id: "store-failed" });
  await expect(store.rejected()).rejects.toThrow("IO Error");
  expect(await store.rejected()).toBe(0n);
  const batch = { topic: "t", topicId: "t-1", partition: 0, from: 0n, to: 1n, rows: [], rejects: [] };
  await store.commit(batch);
  await store.close();
  await expect(store.position()).rejects.toThrow("the store is closed");
});
