import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, describe, expect, test } from "vitest";

/** Benchmarks that want Go, Envoy or Kafka: run with the least that touches all of them, every answer checked. */
const ROOT = resolve(import.meta.dirname, "../..");
const out = mkdtempSync(join(tmpdir(), "skynetes-bench-real-"));
afterAll(() => rmSync(out, { recursive: true, force: true }));

describe.each(["scatter", "mesh"])("%s", (name) => {
  test("every gateway gives the right answers, ours and the peers", () => {
    const argv = ["bench/bench.ts", name, "--out", out, "--quick", "--seconds", "0.3", "--shards", "2"];
    execFileSync(process.execPath, argv, { cwd: ROOT, stdio: ["ignore", "pipe", "inherit"] });
    const { rows } = JSON.parse(readFileSync(join(out, `${name}.json`), "utf8"));
    const peers = ["skynetes", "skynetes-unary", "go", "go-stream"];
    expect(rows).toHaveLength(peers.length * 8);
    for (const [i, row] of rows.entries()) expect(row).toMatchObject({ peer: peers[i % 4], shards: 2 });
    // A busy machine makes ours refuse some; what is answered is right, or the run would have ended.
    for (const row of rows) expect(row.answersPerSecond, row.peer).toBeGreaterThan(0);
    for (const row of rows) expect(row.callsPerFrame > 0, row.peer).toBe(!/^go$|unary/.test(row.peer));
  });
});

test("a node ingests every row of a real Kafka that the bare client reads", () => {
  const argv = ["bench/bench.ts", "ingest", "--out", out, "4000", "1"];
  execFileSync(process.execPath, argv, { cwd: ROOT, stdio: ["ignore", "pipe", "inherit"] });
  const { rows } = JSON.parse(readFileSync(join(out, "ingest.json"), "utf8"));
  expect(rows.map(({ side }: { side: string }) => side)).toEqual(["bare", "node", "bare", "node"]);
  for (const row of rows) expect(row.rowsPerSecond).toBeGreaterThan(0);
});

test("the peer in Go is as go vet and gofmt want it", () => {
  const cwd = join(ROOT, "bench/peer/go");
  execFileSync("go", ["vet", "./..."], { cwd, stdio: "inherit" });
  expect(execFileSync("gofmt", ["-l", "."], { cwd, encoding: "utf8" })).toBe("");
});
