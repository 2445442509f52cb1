import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, expect, test } from "vitest";

const ROOT = resolve(import.meta.dirname, "../..");
const out = mkdtempSync(join(tmpdir(), "skynetes-bench-out-"));
afterAll(() => rmSync(out, { recursive: true, force: true }));

/** A wrong answer ends the run; a refusal, as a slow machine may cause, does not. Runs one with the least that touches all of it, without peers that need more than this checkout. */
function quick(name: string, ...options: string[]) {
  const argv = ["bench/bench.ts", name, "--out", out, "--quick", ...options];
  execFileSync(process.execPath, argv, { cwd: ROOT, stdio: "pipe" });
  return JSON.parse(readFileSync(join(out, `${name}.json`), "utf8"));
}

test("tail runs end to end: every fault with hedging and without, every answer checked", () => {
  const { rows } = quick("tail", "--seconds", "0.3", "--shards", "2");
  expect(rows).toHaveLength(8);
  for (const row of rows) expect(row.answersPerSecond ?? row.p50Ms).toBeGreaterThan(0);
}, 300_000);

test("scatter runs end to end: real processes, every answer checked, every call counted", () => {
  const { rows } = quick("scatter", "--seconds", "0.3", "--shards", "2", "--peers", "skynetes");
  expect(rows).toHaveLength(8);
  for (const row of rows) {
    expect(row).toMatchObject({ peer: "skynetes", shards: 2 });
    expect(row.answersPerSecond).toBeGreaterThan(0);
    expect(row.cpuUsPerAnswer).toBeGreaterThan(0);
    expect(row.totalCpuUsPerAnswer).toBeGreaterThan(row.cpuUsPerAnswer);
    // A machine that is busy makes the gateway refuse some, before any shard is asked.
    if (row.faults === 0) expect(row.callsPerRequest).toBe(2);
  }
}, 300_000);
