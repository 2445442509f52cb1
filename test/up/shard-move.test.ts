/** A shard moves from node to node under strict queries, with one placement of each; and a replica diverges. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DuckDBInstance } from "@duckdb/node-api";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { csv, makeFlights, type RunningMesh, skynetes, startUp, V2, writeSmallMesh } from "./small-mesh.ts";
import { expectedOf, StrictLoad, strictSubjects, summarize } from "./strict-load.ts";

const ALL = makeFlights(4_200);
const FLIGHTS = ALL.slice(0, 4_000);
const MORE = ALL.slice(4_000);
const directory = mkdtempSync(join(tmpdir(), "skynetes-move-"));
const data = join(directory, "data");
let manifest: string;
let mesh: RunningMesh;

beforeAll(async () => {
  const nodes = ["node-a", "node-b", "node-c"];
  const placements = [["node-a"], ["node-b"], ["node-a"], ["node-b", "node-a"]];
  manifest = writeSmallMesh(directory, FLIGHTS, ["january", "all"], { nodes, placements });
  mesh = await startUp(manifest, data);
}, 180_000);

afterAll(async () => {
  mesh?.process.kill("SIGTERM");
  await mesh?.exited;
  rmSync(directory, { recursive: true, force: true });
});

const shard = (...args: string[]) => skynetes("shard", ...args, "--data-dir", data);

async function placements(): Promise<readonly { shard: number; node: string; phase: string; quarantine: string }[]> {
  const { stdout } = await shard("list", "--output", "json");
  return (JSON.parse(stdout) as { placements: Awaited<ReturnType<typeof placements>> }).placements;
}

const nodesOf = async (number: number) =>
  (await placements())
    .filter((p) => p.shard === number)
    .map(({ node, phase }) => `${node} ${phase.slice(16).toLowerCase()}`);

test("a shard with one placement moves under strict queries: none fails, and nothing is left where it was", async () => {
  const load = new StrictLoad(() => mesh.http, strictSubjects(FLIGHTS), 2);
  try {
    await load.answered(20);
    const moved = await shard("move", "--shard", "1", "--from", "node-b", "--to", "node-c", "--wait", "90s");
    expect(moved.stderr).toBe("");
    await load.answered(20);
  } finally {
    await load.stop();
  }
  expect([load.failed.length, load.failed.slice(0, 3)]).toEqual([0, []]);
  expect(await nodesOf(1)).toEqual(["node-c placed"]);
}, 150_000);

test("what cannot be moved is refused with the reason", async () => {
  const same = await shard("move", "--shard", "3", "--from", "node-b", "--to", "node-a");
  expect([same.code, same.stderr]).toEqual([1, expect.stringContaining("node-a holds it already")]);
  const none = await shard("cancel", "--shard", "0");
  expect([none.code, none.stderr]).toEqual([1, expect.stringContaining("none is under way")]);
}, 30_000);

test("a move goes on after up was killed on the way", async () => {
  await shard("move", "--shard", "0", "--from", "node-a", "--to", "node-c");
  mesh.process.kill("SIGKILL");
  await mesh.exited;
  mesh = await startUp(manifest, data);
  await vi.waitFor(async () => expect(await nodesOf(0)).toEqual(["node-c placed"]), { timeout: 90_000, interval: 300 });
  for (const subject of strictSubjects(FLIGHTS)) {
    expect(await summarize(mesh.http, subject.snapshot)).toBe(expectedOf(subject));
  }
}, 150_000);

test("a replica whose store was changed behind its back is found at the seal, quarantined, built anew, and returns", async () => {
  const more = join(directory, "more.csv");
  writeFileSync(more, csv(MORE));
  const loaded = await skynetes(
    "produce",
    "flights",
    more,
    "--key",
    "origin",
    "--timestamp",
    "date",
    "--data-dir",
    data,
  );
  expect(loaded.code, loaded.stderr).toBe(0);
  await waitForRows("node-b", MORE);
  mesh.process.kill("SIGTERM");
  await mesh.exited;
  expect(await spoil("node-b")).toBeGreaterThan(0);
  mesh = await startUp(manifest, data);

  const created = await skynetes(
    "snapshot",
    "create",
    "later",
    "--bind",
    `flights.v1.DelayService=${V2}`,
    "--wait",
    "90s",
    "--data-dir",
    data,
  );
  expect(created.code, created.stderr).toBe(0);
  expect(await summarize(mesh.http, "later")).toBe(expectedOf({ snapshot: "later", flights: ALL, delayedFrom: 15 }));
  expect(mesh.stderr().replaceAll('\\"', '"')).toMatch(
    /shard 3 on node-b is quarantined: at "later" its state digest is [0-9a-f]{32}, right is [0-9a-f]{32}; it differs in table "flights"/,
  );
  await vi.waitFor(async () => expect((await placements()).map(({ quarantine }) => quarantine).join("")).toBe(""), {
    timeout: 60_000,
    interval: 300,
  });
  await vi.waitFor(
    async () =>
      expect((await skynetes("snapshot", "plan", "--data-dir", data)).stdout).toMatch(
        /^now\n {2}nothing\nwaiting\n {2}nothing$/m,
      ),
    { timeout: 60_000, interval: 300 },
  );
}, 240_000);

const storeOf = (node: string) => join(data, "nodes", node, "shard-3", "ingest.duckdb");

/** Until the node's agent says that it has ingested them: the next snapshot would wait for it too. */
async function waitForRows(node: string, rows: readonly unknown[]): Promise<void> {
  const id = `seen-${node}`;
  const made = await skynetes(
    "snapshot",
    "create",
    id,
    "--bind",
    `flights.v1.DelayService=${V2}`,
    "--wait",
    "60s",
    "--data-dir",
    data,
  );
  expect(made.code, made.stderr).toBe(0);
  expect(JSON.parse(await summarize(mesh.http, id)).flights).toBe(String(4_000 + rows.length));
  // Its segments would be named again by the next freeze, and the change in the store never seen.
  expect((await skynetes("snapshot", "retire", id, "--wait", "60s", "--data-dir", data)).code).toBe(0);
}

async function spoil(node: string): Promise<number> {
  const instance = await DuckDBInstance.create(storeOf(node));
  const connection = await instance.connect();
  const changed = await connection.run(
    `UPDATE "rows"."flights" SET delay = delay + 1 WHERE date >= TIMESTAMP '${MORE[0]?.date}'`,
  );
  const count = changed.rowsChanged;
  connection.closeSync();
  instance.closeSync();
  return count;
}
