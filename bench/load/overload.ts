/**
 * `overload [--seconds 60] [--factor 10] [--service-ms 50]`: ten times what the mesh can answer, for a minute, and back.
 *
 * Four shards, each a pod that works on eight calls at once for exp(50 ms), so that some 160 queries a second are the
 * capacity, whatever the processors do. One open-loop generator (Poisson, latencies from when a request was due) goes
 * through all phases without a break: half of the capacity; 1.2 times, which gives the peak; the overload; half again.
 * Every answer is checked byte for byte; clients do not come back (`test/gateway/admission/overload.test.ts` has those).
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { BenchReport } from "../bench.ts";
import type { LoadPhase, LoadSecond, PhasedJob } from "../harness/load/phased-load.ts";
import { BenchPods } from "../harness/mesh/bench-pods.ts";
import { EVERY_QUERY_SCATTERS, startSkynetes } from "../harness/mesh/skynetes-gateway.ts";
import { AskedProcess } from "../harness/process/asked-process.ts";
import { cpuSince } from "../harness/process/cpu-time.ts";

const SHARDS = 4;
const SLOTS = 8;
const SERVICE_MS = 50;
const TIMEOUT_MS = 5_000;

const GOODPUT_SHARE = 0.95;
const REFUSED_WITHIN_MS = 50;
const NORMAL_WITHIN_S = 5;

export async function run(options: readonly string[]): Promise<BenchReport> {
  const { values } = parseArgs({
    args: [...options],
    options: {
      seconds: { type: "string" },
      factor: { type: "string" },
      "service-ms": { type: "string" },
      quick: { type: "boolean", default: false },
    },
  });
  const seconds = Number(values.seconds ?? (values.quick ? 3 : 60));
  const factor = Number(values.factor ?? 10);
  // Also the seconds in which normal is looked for, and which must stay normal.
  const calmS = values.quick ? 2 : 10;
  const serviceMs = Number(values["service-ms"] ?? SERVICE_MS);
  const capacity = (SLOTS * 1000) / serviceMs;
  const phases: Record<string, LoadPhase> = {
    before: { ratePerSecond: capacity / 2, seconds: calmS },
    peak: { ratePerSecond: capacity * 1.2, seconds: calmS },
    overload: { ratePerSecond: capacity * factor, seconds },
    after: { ratePerSecond: capacity / 2, seconds: calmS },
  };
  const pods = await BenchPods.start({ shards: SHARDS });
  const gateway = await startSkynetes(pods, { flags: EVERY_QUERY_SCATTERS });
  const generator = AskedProcess.fork("load", join(import.meta.dirname, "../harness/load/phased-load.ts"));
  try {
    await pods.behave({ slots: SLOTS });
    const job: PhasedJob = {
      address: gateway.http,
      phases: Object.values(phases),
      shards: SHARDS,
      meanServiceUs: serviceMs * 1000,
      timeoutMs: TIMEOUT_MS,
    };
    const cpu = cpuSince(gateway.pids);
    const told = await generator.ask<LoadSecond[]>("run", job as never);
    return report(phases, told, cpu());
  } finally {
    await generator.stop();
    await gateway.stop();
    await pods.stop();
  }
}

function report(phases: Record<string, LoadPhase>, told: readonly LoadSecond[], cpuNs: number): BenchReport {
  let from = 0;
  const bySecond = new Map<string, readonly LoadSecond[]>();
  for (const [name, { seconds }] of Object.entries(phases)) {
    bySecond.set(name, told.slice(from, from + seconds));
    from += seconds;
  }
  const rows = [...bySecond].map(([name, seconds]) => rowOf(name, seconds));
  const rowNamed = (name: string) => rows.find((row) => row.phase === name) as (typeof rows)[number];
  const peak = rowNamed("peak").rightPerSecond;
  const overload = rowNamed("overload");
  const before = rowNamed("before");
  const share = overload.rightPerSecond / peak;
  const after = bySecond.get("after") ?? [];
  const normalAfterS = after.findIndex((_, i) =>
    after.slice(i).every((second) => isNormal(second, before.answerP50Ms)),
  );
  const others = told.reduce((sum, second) => sum + Object.values(second.others).reduce((a, b) => a + b, 0), 0);
  const requests = told.reduce((sum, second) => sum + second.sent, 0);
  const verdict = (isMet: boolean) => (isMet ? "met" : "NOT MET");
  return {
    rows,
    notes: [
      `goodput under overload: ${(share * 100).toFixed(1)} % of the peak; at least 95 %: ${verdict(share >= GOODPUT_SHARE)}`,
      `refusals: p99 ${overload.refusalP99Ms} ms; within 50 ms: ${verdict(overload.refusalP99Ms <= REFUSED_WITHIN_MS)}`,
      `normal again after ${normalAfterS} s; within 5 s: ${verdict(normalAfterS >= 0 && normalAfterS <= NORMAL_WITHIN_S)}`,
      `neither right nor refused: ${others} of ${requests}`,
      `gateway: ${Math.round(cpuNs / 1000 / requests)} us of processor a request, refused or answered`,
    ],
  };
}

function rowOf(phase: string, seconds: readonly LoadSecond[]) {
  const right = seconds.flatMap((second) => second.right).sort((a, b) => a - b);
  const refused = seconds.flatMap((second) => second.refused).sort((a, b) => a - b);
  const sent = seconds.reduce((sum, second) => sum + second.sent, 0);
  return {
    phase,
    seconds: seconds.length,
    offeredPerSecond: Math.round(sent / seconds.length),
    rightPerSecond: Math.round(right.length / seconds.length),
    refusedPerSecond: Math.round(refused.length / seconds.length),
    answerP50Ms: at(right, 0.5),
    answerP99Ms: at(right, 0.99),
    refusalP50Ms: at(refused, 0.5),
    refusalP99Ms: at(refused, 0.99),
    refusalMaxMs: at(refused, 1),
  };
}

/** All answered, and as soon as before. */
function isNormal(second: LoadSecond, usualP50Ms: number): boolean {
  const right = [...second.right].sort((a, b) => a - b);
  return right.length >= second.sent * GOODPUT_SHARE && at(right, 0.5) <= 1.5 * usualP50Ms + 5;
}

/** To a tenth of a millisecond; 0 of nothing. */
function at(sorted: readonly number[], share: number): number {
  const value = sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? 0;
  return Math.round(value * 10) / 10;
}
