import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { expect, test } from "vitest";
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
