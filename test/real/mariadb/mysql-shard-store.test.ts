/** The store's contract on a real server of the MySQL protocol, and what that server must refuse. */
import mysql from "mysql2/promise";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { MySqlPool } from "../../../src/mysql/mysql-pool.ts";
import { dropShardStore } from "../../../src/node/store/open-shard-store.ts";
import { shardStoreAcceptance } from "../../acceptance/shard-store.suite.ts";
import { tableSpec, testDirectory } from "../../node/node-fixture.ts";
import { databasesOf, loginOf, mariaDbWithUsers, openMySqlStore, serverOf } from "./mariadb-fixture.ts";
import type { MariaDbServer } from "./mariadb-server.ts";

let server: MariaDbServer;

beforeAll(async () => {
  server = await mariaDbWithUsers();
});

afterAll(() => server?.stop());

shardStoreAcceptance("MySQL protocol", (directory, tables) => openMySqlStore(server, directory, tables));

const EVENTS = tableSpec("events", "Append", { id: "INT64", name: "STRING?" });
const CUT = (position: bigint) => [{ topic: "events", topicId: "t1", partition: 0, position }];

function batch(from: bigint, names: readonly (string | null)[]) {
  const rows = names.map((name, i) => ({
    table: "events",
    partition: 0,
    offset: from + BigInt(i),
    values: [from + BigInt(i), name],
    tombstone: false,
  }));
  const to = from + BigInt(names.length);
  return { topic: "events", topicId: "t1", partition: 0, from, to, rows, rejects: [] };
}

describe("privileges", () => {
  test("the ingest user can neither delete, nor change, nor make or drop anything", async () => {
    const directory = await testDirectory();
    const store = await openMySqlStore(server, directory, [EVENTS]);
    await store.commit(batch(0n, ["a"]));
    const { data, view } = databasesOf(directory);
    const pool = new MySqlPool(serverOf(server), loginOf("ingest"), { connectionsMax: 1, statementMs: 10_000 });
    for (const statement of [
      `DELETE FROM \`${data}\`.events`,
      `UPDATE \`${data}\`.events SET name = 'b'`,
      `DROP TABLE \`${data}\`.events`,
      `DELETE FROM \`${data}\`.\`skynetes:positions\``,
      `CREATE TABLE \`${data}\`.more (a INT)`,
      `CREATE VIEW \`${view}\`.more AS SELECT 1`,
    ]) {
      await expect(pool.run("try", statement), statement).rejects.toMatchObject({ id: "permission-denied" });
    }
    await pool.close();
    await store.close();
  });

  test("the service user reads views and nothing else", async () => {
    const directory = await testDirectory();
    const store = await openMySqlStore(server, directory, [EVENTS]);
    await store.commit(batch(0n, ["a", "b", "c"]));
    const views = await store.views.publish("s1", CUT(2n));
    await store.commit(batch(3n, ["d"]));
    const { data } = databasesOf(directory);
    const pool = new MySqlPool(serverOf(server), loginOf("service"), { connectionsMax: 1, statementMs: 10_000 });
    const view = `\`${views.database}\`.\`${views.tables[0]!.view}\``;
    expect(await pool.run("read", `SELECT * FROM ${view} ORDER BY id`)).toEqual([
      ["0", "a"],
      ["1", "b"],
    ]);
    for (const statement of [
      `SELECT * FROM \`${data}\`.events`,
      `INSERT INTO ${view} VALUES (9, 'x')`,
      `DROP VIEW ${view}`,
    ]) {
      await expect(pool.run("try", statement), statement).rejects.toMatchObject({ id: "permission-denied" });
    }
    await store.views.drop("s1");
    await store.views.drop("s1");
    await expect(pool.run("read", `SELECT * FROM ${view}`)).rejects.toMatchObject({ id: "store-failed" });
    await store.views.restore("s1", CUT(2n));
    expect(await pool.run("read", `SELECT COUNT(*) FROM ${view}`)).toEqual([["2"]]);
    await expect(store.views.restore("s2", CUT(9n))).rejects.toMatchObject({ id: "cut-not-reached" });
    await pool.close();
    await store.close();
  });

  test("a wrong password and a server that is not there are told apart", async () => {
    const limits = { connectionsMax: 1, statementMs: 1_000 };
    const wrong = new MySqlPool(serverOf(server), { user: "skynetes_ingest", password: "x" }, limits);
    await expect(wrong.run("try", "SELECT 1")).rejects.toMatchObject({ id: "permission-denied" });
    const nobody = new MySqlPool({ ...serverOf(server), port: 1 }, loginOf("ingest"), limits);
    await expect(nobody.run("try", "SELECT 1")).rejects.toMatchObject({ id: "store-failed" });
    await wrong.close();
    await nobody.close();
  });
});

describe("sessions", () => {
  test("one call is one statement", async () => {
    const pool = new MySqlPool(serverOf(server), loginOf("ingest"), { connectionsMax: 1, statementMs: 10_000 });
    await expect(pool.run("try", "SELECT 1; SELECT 2")).rejects.toMatchObject({ id: "store-failed" });
    await pool.close();
  });

  test("a statement that lasts too long is ended, and the pool goes on", async () => {
    const pool = new MySqlPool(serverOf(server), loginOf("ingest"), { connectionsMax: 1, statementMs: 200 });
    await expect(pool.run("wait", "SELECT COUNT(*) FROM (SELECT SLEEP(600)) AS s")).rejects.toMatchObject({
      id: "store-failed",
    });
    expect(await pool.run("ask", "SELECT 1")).toEqual([[1]]);
    await pool.close();
  });

  test("isolation is READ COMMITTED, and what does not fit is refused rather than cut", async () => {
    const pool = new MySqlPool(serverOf(server), loginOf("ingest"), { connectionsMax: 1, statementMs: 10_000 });
    expect(await pool.run("ask", "SELECT @@tx_isolation, @@sql_mode")).toEqual([
      ["READ-COMMITTED", "STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION"],
    ]);
    await pool.close();
  });

  test("a lost connection is made anew", async () => {
    const pool = new MySqlPool(serverOf(server), loginOf("ingest"), { connectionsMax: 1, statementMs: 10_000 });
    const [row] = await pool.run("ask", "SELECT CAST(CONNECTION_ID() AS CHAR)");
    const root = await mysql.createConnection({ host: "127.0.0.1", port: server.port, user: "root" });
    await root.query(`KILL CONNECTION ${row![0]}`);
    await root.end();
    await pool.run("ask", "SELECT 1").catch(() => {});
    expect(await pool.run("ask", "SELECT 1")).toEqual([[1]]);
    await pool.close();
  });
});

test("of two writers that both think they are alone one is fenced, whichever comes first", async () => {
  const place = await testDirectory();
  const one = await openMySqlStore(server, await testDirectory(), [EVENTS], place);
  const other = await openMySqlStore(server, await testDirectory(), [EVENTS], place);
  for (let round = 0n; round < 20n; round++) {
    const outcomes = await Promise.allSettled([one, other].map((store) => store.commit(batch(round, [`${round}`]))));
    expect(outcomes.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
    const lost = outcomes.find((outcome) => outcome.status === "rejected");
    expect(lost?.reason).toMatchObject({ id: "fenced" });
  }
  expect(await one.position()).toEqual(CUT(20n));
  // Reopening removes old positions; who continues from one of them is fenced all the same.
  await other.close();
  const again = await openMySqlStore(server, await testDirectory(), [EVENTS], place);
  await expect(one.commit(batch(7n, ["x"]))).rejects.toMatchObject({ id: "fenced" });
  expect(await again.position()).toEqual(CUT(20n));
  await one.close();
  await again.close();
});

test("a store that is dropped is gone with its views, and opens again as a new one", async () => {
  const directory = await testDirectory();
  const store = await openMySqlStore(server, directory, [EVENTS]);
  await store.commit(batch(0n, ["a"]));
  await store.views.publish("s1", CUT(1n));
  await store.close();
  const { data } = databasesOf(directory);
  const node = data.slice("skynetes_data_".length, -"_0".length);
  const access = {
    name: "skynetes",
    server: serverOf(server),
    bootstrap: loginOf("bootstrap"),
    ingest: loginOf("ingest"),
  };
  await dropShardStore(access, node, 0);
  await dropShardStore(access, node, 0);
  const again = await openMySqlStore(server, directory, [EVENTS]);
  expect(await again.position()).toEqual([]);
  // The snapshot is still frozen: its views come back when the log has been read as far again.
  await expect(again.views.restore("s1", CUT(1n))).rejects.toMatchObject({ id: "cut-not-reached" });
  await again.commit(batch(0n, ["a"]));
  await again.views.restore("s1", CUT(1n));
  await again.close();
});
