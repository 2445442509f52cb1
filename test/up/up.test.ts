import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { request } from "undici";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import {
  childrenOf,
  csv,
  type Flight,
  isAlive,
  makeFlights,
  type RunningMesh,
  skynetes,
  startUp,
  V1,
  V2,
  writeSmallMesh,
} from "./small-mesh.ts";

const FLIGHTS = makeFlights(4_000);
const MORE = makeFlights(4_500).slice(4_000);
const directory = mkdtempSync(join(tmpdir(), "skynetes-up-"));
const data = join(directory, "data");
const DELAY = "flights.v1.DelayService";

let manifest: string;
let mesh: RunningMesh;

beforeAll(async () => {
  manifest = writeSmallMesh(directory, FLIGHTS);
  mesh = await startUp(manifest, data);
}, 180_000);

afterAll(async () => {
  mesh?.process.kill("SIGTERM");
  await mesh?.exited;
  rmSync(directory, { recursive: true, force: true });
});

function summary(flights: readonly Flight[], delayedFrom: number) {
  const sum = (of: (f: Flight) => number) => flights.reduce((total, f) => total + of(f), 0);
  const delays = flights.map((f) => f.delay);
  return {
    flights: String(flights.length),
    delayed: String(delays.filter((delay) => delay >= delayedFrom).length),
    totalDelayMinutes: String(sum((f) => f.delay)),
    totalDistanceMiles: String(sum((f) => f.distance)),
    minDelayMinutes: String(Math.min(...delays)),
    maxDelayMinutes: String(Math.max(...delays)),
    meanDelayMinutes: sum((f) => f.delay) / flights.length,
  };
}

const inJanuary = FLIGHTS.filter((f) => f.date < "2001-02-01");

async function summarize(snapshot: string): Promise<unknown> {
  const { body } = await request(`${mesh.http}/v1/snapshots/${snapshot}/${DELAY}/Summarize`, {
    method: "POST",
    headers: { "content-type": "application/json", "cache-control": "no-cache" },
    body: "{}",
  });
  return ((await body.json()) as { answer: unknown }).answer;
}

async function digests(snapshot: string): Promise<unknown> {
  const { body } = await request(`${mesh.http}/v1/snapshots/${snapshot}`);
  const { seal } = (await body.json()) as { seal: { shardSeals: { shard: number; stateDigest: string }[] } };
  return seal.shardSeals.map(({ stateDigest }) => stateDigest);
}

const snapshot = (...args: string[]) => skynetes("snapshot", ...args, "--data-dir", data);

describe("up, from nothing", () => {
  test("two snapshots answer with two versions, each exactly", async () => {
    expect(await summarize("january")).toEqual(summary(inJanuary, 1));
    expect(await summarize("all")).toEqual(summary(FLIGHTS, 15));
  });

  test("it says where to go, and which snapshot waits for its time", () => {
    expect(mesh.stderr()).toContain(`${mesh.http}/v1/snapshots/all/${DELAY}/Summarize`);
    expect(mesh.stderr()).toMatch(/future\s+waits: the log has not passed its time yet/);
    expect(mesh.stderr()).toContain("load flights: 4,000 records loaded");
  });

  test("a second up on the same data is refused, naming the first", async () => {
    const second = await skynetes("up", "-m", manifest, "--data-dir", data, "--http-port", "0", "--grpc-port", "0");
    expect(second.code).toBe(69);
    expect(second.stderr).toContain(`process ${mesh.pid} has it open`);
  });

  test("a port that is taken is named, and nothing is left running", async () => {
    const taken = new URL(mesh.http).port;
    const other = await skynetes("up", "-m", manifest, "--data-dir", join(directory, "other"), "--http-port", taken);
    expect(other.code).toBe(69);
    expect(other.stderr).toContain(`listen for HTTP on 127.0.0.1:${taken}: another process listens there`);
  });
});

describe("the command line against it", () => {
  test("query prints the answer as JSON, or as a table", async () => {
    const json = await skynetes("query", "all", `${DELAY}/Summarize`, "{}", "--data-dir", data);
    expect(json.code).toBe(0);
    expect(JSON.parse(json.stdout)).toMatchObject({
      answer: summary(FLIGHTS, 15),
      snapshot: { id: "all", version: V2 },
    });
    const top = ["query", "all", `${DELAY}/TopDestinations`, '{"limit":2}', "--gateway", mesh.http, "-o", "table"];
    const lines = (await skynetes(...top)).stdout.trim().split("\n");
    expect(lines).toHaveLength(3);
    expect(lines[0]).toMatch(/^destination +name +flights +delayed/);
  });

  test("a streamed answer is a line each, and stdin may hold the request", async () => {
    const found = await skynetes("query", "january", `${DELAY}/Search`, '{"limit":3}', "--data-dir", data);
    expect(found.stdout.trim().split("\n")).toHaveLength(3);
  });

  test.each([
    ["an unknown snapshot", ["query", "nope", `${DELAY}/Summarize`], 1, "nope"],
    ["an unknown method", ["query", "all", `${DELAY}/Nope`], 1, "Nope"],
    ["an unknown field", ["query", "all", `${DELAY}/Summarize`, '{"orign":"LAX"}'], 1, "orign"],
    ["a request that is not JSON", ["query", "all", `${DELAY}/Summarize`, "{"], 1, "error:"],
    ["a call that is not one", ["query", "all", "Summarize"], 2, "package.Service/Method"],
    ["an unknown snapshot to show", ["snapshot", "show", "nope"], 1, "no such snapshot"],
    ["a version that is not in the manifest", ["snapshot", "bind", "all", `${DELAY}=delay-v9-0a1b2c3d`], 1, V1],
    [
      "a time that is not passed",
      ["snapshot", "create", "x", "--as-of", "2030-01-01T00:00Z", "--bind", `${DELAY}=${V1}`],
      1,
      "no record at or after",
    ],
    ["an id that is taken", ["snapshot", "create", "all", "--bind", `${DELAY}=${V1}`], 1, "it exists"],
  ])("%s: exit code and one clear line", async (_, args, code, message) => {
    const said = await skynetes(...args, "--data-dir", data);
    expect(said.stderr).toContain(message);
    expect(said.stderr).not.toContain("    at ");
    expect(said.code).toBe(code);
    expect(said.stdout).toBe("");
  });

  test("explain tells the plan and asks no shard", async () => {
    const said = await skynetes("explain", "all", `${DELAY}/TopDestinations`, '{"limit":2}', "--data-dir", data);
    expect(said.stdout).toContain("shards asked: 0, 1, 2, 3");
    expect(said.stdout).toContain("top groups by destination");
  });

  test("records that are produced later are in the next snapshot and in no earlier one", async () => {
    const file = join(directory, "more.csv");
    writeFileSync(file, csv(MORE));
    const loaded = await skynetes(
      "produce",
      "flights",
      file,
      "--key",
      "origin",
      "--timestamp",
      "date",
      "--data-dir",
      data,
    );
    expect(loaded.stderr).toContain("500 records loaded");
    const made = await snapshot("create", "more", "--bind", `${DELAY}=${V1}`, "--wait", "60s", "-o", "json");
    expect(made.code, made.stderr).toBe(0);
    expect(JSON.parse(made.stdout)).toMatchObject({ id: "more", phase: "SNAPSHOT_PHASE_SERVING" });
    expect(await summarize("more")).toEqual(summary([...FLIGHTS, ...MORE], 1));
    expect(await summarize("all")).toEqual(summary(FLIGHTS, 15));
    expect(await summarize("latest")).toEqual(summary([...FLIGHTS, ...MORE], 1));
  });

  test("a binding is moved, and the same data is answered by the other version", async () => {
    expect((await snapshot("bind", "more", `${DELAY}=${V2}`, "--wait")).code).toBe(0);
    expect(await summarize("more")).toEqual(summary([...FLIGHTS, ...MORE], 15));
  });

  test("a version that nothing else binds comes and goes, and no query fails meanwhile", async () => {
    const alone = join(directory, "alone");
    const one = writeSmallMesh(alone, FLIGHTS, ["all"]);
    const into = join(alone, "data");
    const other = await startUp(one, into);
    try {
      const statuses: number[] = [];
      let isOver = false;
      const asking = (async () => {
        while (!isOver) {
          const path = `${other.http}/v1/snapshots/all/${DELAY}/Summarize`;
          const headers = { "content-type": "application/json", "cache-control": "no-cache" };
          const { statusCode, body } = await request(path, { method: "POST", headers, body: "{}" });
          await body.dump();
          statuses.push(statusCode);
          await new Promise((done) => setTimeout(done, 20));
        }
      })();
      for (const version of [V1, V2]) {
        const args = ["bind", "all", `${DELAY}=${version}`, "--wait", "60s", "--data-dir", into];
        const moved = await skynetes("snapshot", ...args);
        expect(moved.code, moved.stderr).toBe(0);
        const services = () => childrenOf(other.pid).filter(({ command }) => command.includes("skynetes.ts service "));
        await vi.waitFor(() => expect(services()).toHaveLength(2), { timeout: 20_000, interval: 100 });
      }
      isOver = true;
      await asking;
      expect(statuses.length).toBeGreaterThan(10);
      expect(statuses.filter((status) => status !== 200)).toEqual([]);
    } finally {
      other.process.kill("SIGINT");
      await other.exited;
    }
  }, 180_000);

  test("a pinned snapshot is listed as such", async () => {
    await snapshot("pin", "more");
    expect((await snapshot("list")).stdout).toMatch(/more +serving .* pinned/);
  });

  test("a retired snapshot is gone, and its id is never used again", async () => {
    const gone = await snapshot("retire", "more", "--wait", "60s");
    expect(gone.code, gone.stderr).toBe(0);
    const asked = await skynetes("query", "more", `${DELAY}/Summarize`, "--data-dir", data);
    expect(asked.code).toBe(1);
    expect(asked.stderr).toContain("retired");
    const again = await snapshot("create", "more", "--bind", `${DELAY}=${V1}`);
    expect(again.stderr).toContain("an id is used once");
    expect((await snapshot("list", "-o", "json")).stdout).not.toContain('"more"');
  });

  test("the plan says what is waited for", async () => {
    expect((await snapshot("plan")).stdout).toMatch(/future +Cutting/);
  });
});

describe("kills and restarts", () => {
  test.each(["gateway", "node", "service"])("a killed %s is started again and everything answers", async (role) => {
    const victim = childrenOf(mesh.pid).find(({ command }) => command.includes(`skynetes.ts ${role} `));
    process.kill(victim?.pid as number, "SIGKILL");
    await vi.waitFor(() => expect(isAlive(victim?.pid as number)).toBe(false), 10_000);
    await vi.waitFor(async () => expect(await summarize("january")).toEqual(summary(inJanuary, 1)), {
      timeout: 30_000,
      interval: 200,
    });
    expect(await summarize("all")).toEqual(summary(FLIGHTS, 15));
  });

  test("kill -9 of up leaves no process, and the next start has the same data", async () => {
    const before = await Promise.all(["january", "all"].map(digests));
    const children = childrenOf(mesh.pid);
    expect(children.length).toBeGreaterThanOrEqual(7);
    mesh.process.kill("SIGKILL");
    await mesh.exited;
    await vi.waitFor(() => expect(children.filter(({ pid }) => isAlive(pid))).toEqual([]), { timeout: 20_000 });

    mesh = await startUp(manifest, data);
    expect(mesh.stderr()).not.toContain("records loaded");
    expect(await summarize("january")).toEqual(summary(inJanuary, 1));
    expect(await summarize("all")).toEqual(summary(FLIGHTS, 15));
    expect(await Promise.all(["january", "all"].map(digests))).toEqual(before);
  });

  test("Ctrl-C stops everything in order: exit code 0, no process left, no mesh announced", async () => {
    const all = childrenOf(mesh.pid);
    const children = all.filter(({ command }) => command.includes("skynetes.ts "));
    mesh.process.kill("SIGINT");
    expect(await mesh.exited).toBe(0);
    expect(all.filter(({ pid }) => isAlive(pid))).toEqual([]);
    const asked = await snapshot("list");
    expect(asked.code).toBe(1);
    expect(asked.stderr).toContain("start it with 'skynetes up'");
    const closing = [...mesh.stderr().matchAll(/"part":"([^"]+)","message":"stopping: SIGTERM"/g)].map(
      ([, part]) => part,
    );
    expect(closing).toHaveLength(children.length);
    expect(closing[0]).toBe("gateway");
    expect(closing.at(-1)).toMatch(/^node-[ab]$/);
  });

  test("a stop in the middle of a load goes on where it was", async () => {
    const half = join(directory, "half");
    const many = writeSmallMesh(half, makeFlights(60_000));
    const into = join(half, "data");
    const stopped = await skynetes(
      "produce",
      "flights",
      join(half, "flights.csv"),
      "--partitions",
      "4",
      "--key",
      "origin",
      "--timestamp",
      "date",
      "--limit",
      "20000",
      "--data-dir",
      into,
    );
    expect(stopped.code, stopped.stderr).toBe(0);
    mesh = await startUp(many, into);
    expect(await summarize("all")).toMatchObject({ flights: "60000" });
    mesh.process.kill("SIGINT");
    expect(await mesh.exited).toBe(0);
  });
});
