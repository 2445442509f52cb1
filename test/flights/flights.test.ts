/**
 * The main job: three million real flights through log, nodes, snapshots, services and gateway, every answer compared
 * with one DuckDB over the original file.
 */
import { chmodSync, globSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type FlightFilter, FlightsOracle, type SnapshotName, type TopOrder } from "./flights-oracle.ts";
import { ask, isAlive, MeshProcess } from "./mesh-process.ts";

const SNAPSHOTS = ["q1-2001", "h1-2001"] as const;
const dataDirectory = mkdtempSync(join(tmpdir(), "skynetes-flights-"));

let mesh: MeshProcess;
let oracle: FlightsOracle;
let airports: readonly string[];

beforeAll(async () => {
  mesh = await MeshProcess.start("examples/flights/mesh.yaml", dataDirectory);
  await mesh.serving(240_000);
  oracle = await FlightsOracle.open();
  airports = await oracle.airports();
}, 300_000);

afterAll(async () => {
  oracle?.close();
  await mesh?.stop();
  rmSync(dataDirectory, { recursive: true, force: true });
});

async function answerOf(snapshot: string, call: string, request: unknown) {
  const reply = await ask(mesh.url, `/v1/snapshots/${snapshot}/${call}`, request);
  expect(reply.status, reply.text).toBe(200);
  return JSON.parse(reply.text) as {
    answer: unknown;
    snapshot: { id: string; version: string };
    completeness: {
      complete: boolean;
      shards: unknown;
      rows: { expected: string; answered: string };
      missing: unknown[];
    };
  };
}

async function rowsOf(snapshot: string, request: unknown) {
  const reply = await ask(mesh.url, `/v1/snapshots/${snapshot}/flights.v1.DelayService/Search`, request);
  expect(reply.status, reply.text).toBe(200);
  const lines = reply.text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  const end = lines.pop() as { $end: { completeness: { complete: boolean } } };
  expect(end.$end.completeness.complete).toBe(true);
  return lines;
}

const filters = () =>
  fc.record<FlightFilter>(
    {
      origin: fc.constantFrom(...airports, "ZZZ"),
      destination: fc.constantFrom(...airports),
      from: fc.date({ min: new Date("2000-12-25"), max: new Date("2001-07-05"), noInvalidDate: true }).map(second),
      to: fc.date({ min: new Date("2000-12-25"), max: new Date("2001-07-05"), noInvalidDate: true }).map(second),
    },
    { requiredKeys: [] },
  );
const second = (date: Date) => `${date.toISOString().slice(0, 19)}Z`;
const snapshots = fc.constantFrom<SnapshotName>(...SNAPSHOTS);

describe("three million flights", () => {
  test("the summary of an airport is that of one database, and says that it is complete", async () => {
    const reply = await answerOf("h1-2001", "flights.v1.DelayService/Summarize", { origin: "LAX" });
    expect(reply.answer).toEqual(await oracle.summarize("h1-2001", { origin: "LAX" }));
    expect(reply.snapshot.id).toBe("h1-2001");
    expect(reply.snapshot.version).toMatch(/^delay-v2-[0-9a-f]{8}$/);
    expect(reply.completeness).toEqual({
      complete: true,
      shards: { expected: 4, answered: 4 },
      rows: { expected: "3000000", answered: "3000000" },
      missing: [],
    });
  });

  test("an older snapshot keeps its rows and its version", async () => {
    const reply = await answerOf("q1-2001", "flights.v1.DelayService/Summarize", {});
    expect(reply.answer).toEqual(await oracle.summarize("q1-2001", {}));
    expect(reply.snapshot.version).toMatch(/^delay-v1-[0-9a-f]{8}$/);
    expect(reply.completeness.rows.expected).toBe(await oracle.rows("q1-2001"));
  });

  test("summaries of random filters are those of one database", async () => {
    await fc.assert(
      fc.asyncProperty(snapshots, filters(), async (snapshot, filter) => {
        const reply = await answerOf(snapshot, "flights.v1.DelayService/Summarize", filter);
        expect(reply.answer).toEqual(await oracle.summarize(snapshot, filter));
      }),
      { numRuns: 60 },
    );
  });

  test("top destinations are exact in every order, although they span all shards", async () => {
    for (const snapshot of SNAPSHOTS) {
      for (const order of ["ORDER_FLIGHTS", "ORDER_TOTAL_DELAY", "ORDER_MEAN_DELAY"] as TopOrder[]) {
        for (const [limit, offset] of [
          [1, 0],
          [10, 0],
          [5, 7],
          [50, 0],
          [0, 0],
        ] as const) {
          const reply = await answerOf(snapshot, "flights.v1.DelayService/TopDestinations", { order, limit, offset });
          expect(reply.answer, `${snapshot} ${order} ${limit}+${offset}`).toEqual(
            await oracle.topDestinations(snapshot, order, limit, offset),
          );
        }
      }
    }
  });

  test("daily counts are those of one database", async () => {
    for (const snapshot of SNAPSHOTS) {
      for (const filter of [{}, { origin: "ORD" }, { origin: "ZZZ" }]) {
        const reply = await answerOf(snapshot, "flights.v1.DelayService/DailyCounts", filter);
        expect(reply.answer).toEqual(await oracle.dailyCounts(snapshot, filter));
      }
    }
  });

  test("a search streams in global order, with limit and offset", async () => {
    await fc.assert(
      fc.asyncProperty(snapshots, filters(), fc.nat(200), fc.nat(500), async (snapshot, filter, limit, offset) => {
        const rows = await rowsOf(snapshot, { ...filter, limit: limit + 1, offset });
        expect(rows).toEqual(await oracle.search(snapshot, filter, limit + 1, offset));
      }),
      { numRuns: 25 },
    );
  });

  test("a search without a limit streams every row", async () => {
    const filter = { origin: "LAX", to: "2001-02-01T00:00:00Z" };
    expect(await rowsOf("h1-2001", filter)).toEqual(await oracle.search("h1-2001", filter, 0));
  });

  test("the network service reaches and ranks as one database does", async () => {
    for (const snapshot of SNAPSHOTS) {
      for (const origins of [["LAX"], ["LAX", "ANC", "BGR"], []]) {
        const reply = await answerOf(snapshot, "flights.v1.NetworkService/Reach", { origins });
        expect(reply.answer).toEqual(await oracle.reach(snapshot, origins));
      }
      for (const limit of [1, 10, 100, 0]) {
        const reply = await answerOf(snapshot, "flights.v1.NetworkService/Busiest", { limit });
        expect(reply.answer).toEqual(await oracle.busiest(snapshot, limit));
      }
    }
  });

  test("the same request gives the same bytes and the same tag", async () => {
    const path = "/v1/snapshots/h1-2001/flights.v1.DelayService/TopDestinations";
    const replies = await Promise.all(Array.from({ length: 8 }, () => ask(mesh.url, path, { limit: 5 })));
    expect(new Set(replies.map((reply) => reply.text)).size).toBe(1);
    expect(new Set(replies.map((reply) => reply.headers.etag)).size).toBe(1);
    expect(replies[0]?.headers.etag).toMatch(/^"[^"]+"$/);
  });

  test("bad input is told what is wrong with it, and the next request is answered", async () => {
    const summarize = "/v1/snapshots/h1-2001/flights.v1.DelayService/Summarize";
    const top = "/v1/snapshots/h1-2001/flights.v1.DelayService/TopDestinations";
    const cases: [path: string, body: unknown, status: number, problem: string, names: string][] = [
      ["/v1/snapshots/nope/flights.v1.DelayService/Summarize", {}, 404, "unknown-snapshot", "nope"],
      ["/v1/snapshots/..%2F..%2Fetc/flights.v1.DelayService/Summarize", {}, 404, "unknown-snapshot", "etc"],
      ["/v1/snapshots/h1-2001/flights.v1.Nothing/Summarize", {}, 404, "unknown-service", "flights.v1.Nothing"],
      ["/v1/snapshots/h1-2001/flights.v1.DelayService/Guess", {}, 404, "unknown-method", "Guess"],
      [
        "/v1/snapshots/h1-2001/flights.v1.DelayService@delay-v9-00000000/Summarize",
        {},
        404,
        "unknown-version",
        "delay-v9-00000000",
      ],
      [summarize, { orign: "LAX" }, 400, "invalid-request", "orign"],
      [summarize, '{"origin": "LAX"', 400, "malformed-request", ""],
      [summarize, '{"origin": "LAX", "origin": "SFO"}', 400, "malformed-request", "origin"],
      [summarize, `${"[".repeat(5_000)}${"]".repeat(5_000)}`, 400, "malformed-request", "deep"],
      [summarize, { from: "yesterday" }, 400, "invalid-request", "from"],
      [top, { limit: -1 }, 400, "invalid-request", "limit"],
      [top, '{"limit": 12345678901234567890}', 400, "invalid-request", "limit"],
      [top, '{"limit": 1.5}', 400, "invalid-request", "limit"],
      [`${summarize}?colour=red`, {}, 400, "invalid-request", "colour"],
      [`${summarize}?timeout=soon`, {}, 400, "invalid-request", "soon"],
      [summarize, `{"origin": "${"x".repeat(2 << 20)}"}`, 413, "request-too-large", ""],
    ];
    for (const [path, body, status, problem, names] of cases) {
      const reply = await ask(mesh.url, path, body);
      expect(
        [reply.status, JSON.parse(reply.text).type],
        `${path} ${JSON.stringify(body).slice(0, 80)}: ${reply.text}`,
      ).toEqual([status, `https://skynetes.io/problems/${problem}`]);
      expect(reply.text).toContain(names);
      expect(reply.headers["content-type"]).toContain("application/problem+json");
    }
    expect((await answerOf("h1-2001", "flights.v1.DelayService/Summarize", {})).completeness.complete).toBe(true);
  });

  test("a damaged segment is never served: it is noticed, mended from the archive, and the answers stay right", async () => {
    const expected = await oracle.summarize("h1-2001", {});
    const segments = globSync("nodes/*/shard-*/segments/*.parquet", { cwd: dataDirectory }).map((file) =>
      join(dataDirectory, file),
    );
    expect(segments.length).toBeGreaterThanOrEqual(8);
    const [truncated, flipped] = [segments[0] as string, segments[segments.length - 1] as string];
    const bytes = readFileSync(flipped);
    bytes.writeUInt8(bytes.readUInt8(bytes.length >> 1) ^ 0x10, bytes.length >> 1);
    for (const file of [truncated, flipped]) chmodSync(file, 0o600);
    writeFileSync(flipped, bytes);
    truncateSync(truncated, 1_000);

    // The processes that read the files start again: their state in memory is gone.
    const services = mesh.children().filter((child) => / service /.test(child.command));
    for (const { pid } of services) process.kill(pid, "SIGKILL");
    const until = Date.now() + 150_000;
    const eventually = async (snapshot: SnapshotName, call: string, request: unknown, right: unknown) => {
      for (;;) {
        const reply = await ask(mesh.url, `/v1/snapshots/${snapshot}/${call}`, request);
        if (reply.status === 200) {
          expect(JSON.parse(reply.text).answer).toEqual(right);
          return;
        }
        expect(Date.now(), `${reply.text}\n${mesh.output.slice(-3_000)}`).toBeLessThan(until);
        await new Promise((wake) => setTimeout(wake, 200));
      }
    };
    await eventually("h1-2001", "flights.v1.DelayService/Summarize", {}, expected);
    const busiest = await oracle.busiest("q1-2001", 5);
    await eventually("q1-2001", "flights.v1.NetworkService/Busiest", { limit: 5 }, busiest);
  }, 180_000);

  test("after Ctrl-C no process is left, and a second start reuses the data", async () => {
    const before = (await answerOf("h1-2001", "flights.v1.DelayService/Summarize", {})).answer;
    const pids = [mesh.pid, ...mesh.children().map((child) => child.pid)];
    expect(pids.length).toBeGreaterThanOrEqual(8);
    expect(await mesh.stop()).toBe(0);
    expect(pids.filter(isAlive)).toEqual([]);

    mesh = await MeshProcess.start("examples/flights/mesh.yaml", dataDirectory);
    await mesh.serving(150_000);
    expect((await answerOf("h1-2001", "flights.v1.DelayService/Summarize", {})).answer).toEqual(before);
  }, 180_000);
});
