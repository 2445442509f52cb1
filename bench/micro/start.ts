/**
 * `start`: how long the flights mesh takes to serve both snapshots, and how much memory all its processes take.
 *
 * First start: an empty data directory; three million flights are produced, ingested, frozen, sealed, bound, verified.
 * Later start: the same directory again. The time runs from spawning the command to its
 * line that all the manifest wants is served (bound, verified, in the route table). Memory is sampled every 100 ms over the whole process tree:
 * the sum of proportional set sizes (a page shared by n processes counts 1/n in each) and of resident set sizes (shared
 * pages counted in every process, so too high by the shared part); the peak of each over the whole run, queries included.
 * Processor seconds are user and system of all processes until ready: on a machine that has other work they say more than
 * the time does.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ask, childrenOf, MeshProcess } from "../../test/flights/mesh-process.ts";
import type { BenchReport } from "../bench.ts";
import { memoryOf } from "../harness/process/memory-use.ts";
import { median, rounded } from "../harness/report/median.ts";

export async function run(options: readonly string[]): Promise<BenchReport> {
  const rounds = Number(options[0] ?? 3);
  const rows: Record<string, string | number>[] = [];
  for (let round = 1; round <= rounds; round++) {
    const dataDirectory = mkdtempSync(join(tmpdir(), "skynetes-bench-"));
    try {
      rows.push({ round, start: "first", ...(await measure(dataDirectory)) });
      rows.push({ round, start: "later", ...(await measure(dataDirectory)) });
    } finally {
      rmSync(dataDirectory, { recursive: true, force: true });
    }
  }
  for (const start of ["first", "later"]) {
    const of = rows.filter((row) => row.start === start);
    rows.push({
      round: "median",
      start,
      ...Object.fromEntries(
        ["seconds", "cpuSeconds", "peakPssMiB", "peakRssMiB", "processes"].map((key) => [
          key,
          rounded(median(of.map((row) => row[key] as number))),
        ]),
      ),
    });
  }
  return { rows };
}

async function measure(dataDirectory: string) {
  const startedAt = performance.now();
  const mesh = await MeshProcess.start("examples/flights/mesh.yaml", dataDirectory);
  const peak = { pss: 0, rss: 0, processes: 0 };
  const sampler = setInterval(() => {
    const all = tree(mesh.pid);
    const used = all.map(memoryOf);
    peak.pss = Math.max(
      peak.pss,
      used.reduce((sum, m) => sum + m.pss, 0),
    );
    peak.rss = Math.max(
      peak.rss,
      used.reduce((sum, m) => sum + m.rss, 0),
    );
    peak.processes = Math.max(peak.processes, all.length);
  }, 100);
  try {
    await mesh.serving(300_000);
    const seconds = (performance.now() - startedAt) / 1000;
    const cpuSeconds = tree(mesh.pid).reduce((sum, pid) => sum + cpuSecondsOf(pid), 0);
    for (let i = 0; i < 50; i++) {
      await ask(mesh.url, "/v1/snapshots/h1-2001/flights.v1.DelayService/TopDestinations", { limit: 10 });
    }
    return {
      seconds: Math.round(seconds * 10) / 10,
      cpuSeconds: Math.round(cpuSeconds * 10) / 10,
      peakPssMiB: Math.round(peak.pss / 1024),
      peakRssMiB: Math.round(peak.rss / 1024),
      processes: peak.processes,
    };
  } finally {
    clearInterval(sampler);
    await mesh.stop();
  }
}

function tree(pid: number): number[] {
  return [pid, ...childrenOf(pid).flatMap((child) => tree(child.pid))];
}

/** The system counts in hundredths of a second; the name of the program, before the fields, may hold anything. */
function cpuSecondsOf(pid: number): number {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    const [user, system] = text
      .slice(text.lastIndexOf(")") + 2)
      .split(" ")
      .slice(11, 13);
    return (Number(user) + Number(system)) / 100;
  } catch {
    return 0;
  }
}
