import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { MySqlDialect } from "../../src/mesh/store-spec.ts";
import { schemaStatements, shardDatabases } from "../../src/node/store/mysql/mysql-schema.ts";
import { viewName } from "../../src/node/store/mysql/mysql-views.ts";
import { visibleRows } from "../../src/node/store/mysql/visible-rows.ts";
import { tableSpec } from "./node-fixture.ts";

const COLUMNS = { id: "INT64", name: "STRING?", price: "DECIMAL(18,2)?", at: "TIMESTAMP?", ratio: "DOUBLE?" };
const TABLES = [
  tableSpec("events", "Append", COLUMNS),
  tableSpec("orders", "Upsert", COLUMNS, { key: ["id"] }),
  tableSpec("rates", "Append", { id: "INT32" }, { distribution: "Broadcast" }),
  tableSpec("places", "Upsert", { code: "STRING" }, { distribution: "Broadcast", key: ["code"] }),
];
const DATABASES = shardDatabases("skynetes", "node-a", 3);

// Checked against a server of the MySQL protocol in test/real; SingleStore's own statements as text alone.
describe.each<MySqlDialect>(["MySQL", "SingleStore"])("statements for %s", (dialect) => {
  test("databases, tables and views", async () => {
    const cut = [
      { topic: "t", topicId: "x", partition: 0, position: 10n },
      { topic: "t", topicId: "x", partition: 1, position: 20n },
    ];
    const views = TABLES.map(
      (table) => `CREATE VIEW \`${viewName("h1", table.name)}\` AS ${visibleRows(DATABASES.data, table, [], cut)}`,
    );
    const text = `${[...schemaStatements(dialect, DATABASES, TABLES), ...views].join(";\n\n")};\n`;
    await expect(text).toMatchFileSnapshot(join(import.meta.dirname, `../golden/mysql/${dialect.toLowerCase()}.sql`));
  });
});

test("decimals that SingleStore cannot hold, and names that no server takes, are refused", () => {
  const wide = [tableSpec("t", "Append", { d: "DECIMAL(38,31)" })];
  expect(() => schemaStatements("SingleStore", DATABASES, wide)).toThrow("at most 30 places");
  expect(schemaStatements("MySQL", DATABASES, wide)).toHaveLength(6);
  expect(() => shardDatabases("d".repeat(40), "node-a-b-c-d-e-f", 10)).toThrow("at most 64 characters");
});

test("views of long names are told apart", () => {
  const [snapshot, table] = ["s".repeat(63), "t".repeat(63)];
  const names = [viewName(snapshot, table), viewName(snapshot, `${table.slice(1)}u`), viewName("s", "t")];
  expect(new Set(names).size).toBe(3);
  expect(names.every((name) => name.length <= 64)).toBe(true);
  expect(names[2]).toBe("s:t");
});
