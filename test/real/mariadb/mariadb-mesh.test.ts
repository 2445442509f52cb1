/**
 * A whole mesh whose shards are stored on a server, from real processes. The server is killed while it ingests and a node
 * agent while it serves; the answers are those of the flights all the same.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import mysql, { type RowDataPacket } from "mysql2/promise";
import { request } from "undici";
import { afterAll, beforeAll, expect, test } from "vitest";
import { childrenOf, makeFlights, type RunningMesh, startUp, writeSmallMesh } from "../../up/small-mesh.ts";
import { mariaDbWithUsers } from "./mariadb-fixture.ts";
import type { MariaDbServer } from "./mariadb-server.ts";

const FLIGHTS = makeFlights(40_000);
const directory = mkdtempSync(join(tmpdir(), "skynetes-mariadb-mesh-"));
let server: MariaDbServer;
let mesh: RunningMesh | undefined;

beforeAll(async () => {
  server = await mariaDbWithUsers();
});

afterAll(async () => {
  mesh?.process.kill("SIGTERM");
  await mesh?.exited;
  await server?.stop();
  rmSync(directory, { recursive: true, force: true });
});

async function asRoot(sql: string): Promise<RowDataPacket[]> {
  const root = await mysql.createConnection({ host: "127.0.0.1", port: server.port, user: "root" });
  try {
    return (await root.query<RowDataPacket[]>(sql))[0];
  } finally {
    await root.end();
  }
}

/** Until some of the flights are committed. */
async function ingesting(): Promise<void> {
  for (let tries = 0; tries < 6_000; tries++) {
    const found = await asRoot("SELECT COUNT(*) AS n FROM `skynetes_data_node-a_0`.flights").catch(() => undefined);
    if (Number(found?.[0]?.n ?? 0) > 0) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error("nothing was ingested");
}

function writeStoredMesh(): string {
  const file = writeSmallMesh(directory, FLIGHTS, ["january", "all"]);
  writeFileSync(join(directory, "service-password"), "service-password\n");
  process.env.TEST_BOOTSTRAP_PASSWORD = "bootstrap-password";
  process.env.TEST_INGEST_PASSWORD = "ingest-password";
  const users = {
    bootstrap: { name: "skynetes_bootstrap", passwordFrom: { environment: "TEST_BOOTSTRAP_PASSWORD" } },
    ingest: { name: "skynetes_ingest", passwordFrom: { environment: "TEST_INGEST_PASSWORD" } },
    service: { name: "skynetes_service", passwordFrom: { file: "service-password" } },
  };
  const store = JSON.stringify({ mysql: { host: "127.0.0.1", port: server.port, database: "skynetes", users } });
  writeFileSync(file, readFileSync(file, "utf8").replace('"shards": 4,', `"shards": 4, "store": ${store},`));
  return file;
}

async function summarize(snapshot: string) {
  const path = `/v1/snapshots/${snapshot}/flights.v1.DelayService/Summarize`;
  const { body } = await request(`${mesh?.http}${path}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: "{}",
  });
  const { answer } = (await body.json()) as { answer: Record<string, string> };
  return [answer.flights, answer.totalDelayMinutes, answer.totalDistanceMiles];
}

function summary(flights: typeof FLIGHTS) {
  const sum = (of: (flight: (typeof FLIGHTS)[number]) => number) => String(flights.reduce((all, f) => all + of(f), 0));
  return [String(flights.length), sum((f) => f.delay), sum((f) => f.distance)];
}

test("answers are exact although server and node were killed, and services have read views", async () => {
  await asRoot("SET GLOBAL userstat = 1");
  const starting = startUp(writeStoredMesh(), join(directory, "data"));
  await ingesting();
  await server.kill();
  await server.restart();
  await asRoot("SET GLOBAL userstat = 1");
  mesh = await starting;
  const node = childrenOf(mesh.pid).find(({ command }) => command.includes(" node ") && command.includes("node-a"));
  process.kill(node!.pid, "SIGKILL");
  const january = FLIGHTS.filter((flight) => flight.date < "2001-02-01");
  expect(await summarize("january")).toEqual(summary(january));
  expect(await summarize("all")).toEqual(summary(FLIGHTS));
  const views = await asRoot("SELECT TABLE_SCHEMA AS s, TABLE_NAME AS n FROM information_schema.VIEWS ORDER BY s, n");
  const own = views.filter(({ s }) => String(s).startsWith("skynetes_view_"));
  expect(own.map(({ s, n }) => `${s} ${n}`)).toEqual(
    ["node-a_0", "node-a_2", "node-b_1", "node-b_3"].flatMap((shard) =>
      ["all:airports", "all:flights", "january:airports", "january:flights"].map(
        (view) => `skynetes_view_${shard} ${view}`,
      ),
    ),
  );
  const [read] = await asRoot(
    "SELECT ROWS_SENT AS n FROM information_schema.USER_STATISTICS WHERE USER = 'skynetes_service'",
  );
  expect(Number(read?.n)).toBeGreaterThan(FLIGHTS.length);
}, 300_000);
