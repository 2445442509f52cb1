import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { CheckedCall } from "../../../test/flights/checked-load.ts";
import { goTool } from "./tool-cache.ts";

const VERSION = "v1.8.1";
const SCRIPTS = resolve(import.meta.dirname, "../../k6");
/** k6's own code for a run whose thresholds were crossed. */
const THRESHOLDS_CROSSED = 99;

export interface K6Run {
  readonly script: "http" | "grpc";
  /** Of the mesh: `http://…` for HTTP, host:port for gRPC. */
  readonly target: string;
  readonly cases: readonly CheckedCall[];
  /** Questions per second when steady; ten times as many in the overload. */
  readonly rate: number;
  /** Of each of the four phases. */
  readonly seconds: number;
  /** Questions under way at once at most. */
  readonly users: number;
}

export interface K6Phase {
  readonly phase: "ramp" | "steady" | "overload" | "again";
  readonly right: number;
  readonly refused: number;
  readonly wrong: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

export interface K6Result {
  /** All thresholds held: nothing was wrong. */
  readonly passed: boolean;
  readonly phases: readonly K6Phase[];
  /** Questions that k6 could not send because all its users were waiting. */
  readonly dropped: number;
  /** What k6 said. */
  readonly output: string;
}

/** k6 itself, built from its Go module (the npm package of that name is a dummy). */
export function k6Path(): string {
  return goTool("k6", "go.k6.io/k6", VERSION);
}

export async function runK6(run: K6Run): Promise<K6Result> {
  const directory = mkdtempSync(join(tmpdir(), "skynetes-k6-"));
  try {
    const cases = join(directory, "cases.json");
    const summary = join(directory, "summary.json");
    writeFileSync(cases, JSON.stringify(run.cases));
    const variables = {
      URL: run.target,
      ADDRESS: run.target,
      CASES: cases,
      SUMMARY: summary,
      RATE: String(run.rate),
      SECONDS: String(run.seconds),
      USERS: String(run.users),
    };
    const given = Object.entries(variables).flatMap(([name, value]) => ["-e", `${name}=${value}`]);
    const { code, output } = await k6([
      "run",
      "--quiet",
      "--no-usage-report",
      ...given,
      join(SCRIPTS, `${run.script}.js`),
    ]);
    if (code !== 0 && code !== THRESHOLDS_CROSSED) throw new Error(`k6 ended with code ${code}: ${output}`);
    const { metrics } = JSON.parse(readFileSync(summary, "utf8")) as Summary;
    const phases = (["ramp", "steady", "overload", "again"] as const).map((phase) => phaseOf(metrics, phase));
    return { passed: code === 0, phases, dropped: metrics.dropped_iterations?.values.count ?? 0, output };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

interface Summary {
  readonly metrics: Readonly<Record<string, { readonly values: Readonly<Record<string, number>> }>>;
}

function phaseOf(metrics: Summary["metrics"], phase: K6Phase["phase"]): K6Phase {
  const value = (metric: string, of: string) => metrics[`${metric}{scenario:${phase}}`]?.values[of] ?? 0;
  return {
    phase,
    right: value("right_answers", "count"),
    refused: value("refusals", "count"),
    wrong: value("wrong_answers", "count"),
    p50Ms: value("right_latency", "med"),
    p99Ms: value("right_latency", "p(99)"),
  };
}

function k6(argv: readonly string[]): Promise<{ code: number; output: string }> {
  const child = spawn(k6Path(), argv, { stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  const keep = (chunk: Buffer) => {
    output = (output + chunk.toString()).slice(-10_000);
  };
  child.stdout.on("data", keep);
  child.stderr.on("data", keep);
  return new Promise((done, failed) => {
    child.once("error", failed);
    child.once("close", (code) => done({ code: code ?? -1, output }));
  });
}
