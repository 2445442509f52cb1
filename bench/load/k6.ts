/**
 * `k6`: the flights mesh as it starts (`skynetes up`), asked by k6 over HTTP and over gRPC: ramp, steady, ten times as much,
 * steady again. Every answer is compared with what one DuckDB over the original files says; a refusal under load is
 * counted, anything else that is not the right answer is wrong, and nothing may be.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { checkedCalls } from "../../test/flights/checked-load.ts";
import { FlightsOracle } from "../../test/flights/flights-oracle.ts";
import { MeshProcess } from "../../test/flights/mesh-process.ts";
import type { BenchReport } from "../bench.ts";
import { benchOptions } from "../harness/report/bench-options.ts";
import type { Row } from "../harness/report/median.ts";
import { rounded } from "../harness/report/median.ts";
import { k6Path, runK6 } from "../harness/tool/k6.ts";

const RATE = 40;
const SERVING_MS = 600_000;
/** More than a gateway takes at once, so that the overload is refused. */
const USERS = 320;

export async function run(argv: readonly string[]): Promise<BenchReport> {
  const options = benchOptions(argv, { rounds: 1, seconds: 15, shards: [4] });
  const seconds = options.quick ? 3 : Math.max(1, Math.round(options.seconds));
  k6Path();
  const dataDirectory = mkdtempSync(join(tmpdir(), "skynetes-bench-k6-"));
  const mesh = await MeshProcess.start("examples/flights/mesh.yaml", dataDirectory);
  const oracle = await FlightsOracle.open();
  try {
    await mesh.serving(SERVING_MS);
    const cases = await checkedCalls(oracle, await oracle.airports());
    const targets = { http: mesh.url, grpc: `127.0.0.1:${mesh.ports.grpc}` } as const;
    const rows: Row[] = [];
    for (const script of ["http", "grpc"] as const) {
      const { phases, dropped, passed, output } = await runK6({
        script,
        target: targets[script],
        cases,
        rate: RATE,
        seconds,
        users: options.quick ? 40 : USERS,
      });
      if (!passed) throw new Error(`k6 found wrong answers over ${script}: ${output}`);
      for (const { phase, right, refused, wrong, p50Ms, p99Ms } of phases) {
        const answersPerSecond = rounded(right / seconds);
        const times = { p50Ms: rounded(p50Ms), p99Ms: rounded(p99Ms) };
        rows.push({ door: script, phase, right, refused, wrong, answersPerSecond, ...times, dropped });
      }
    }
    return { rows, notes: [`steady ${RATE}/s, overload ten times as much; wrong answers: 0`] };
  } finally {
    oracle.close();
    await mesh.stop();
    rmSync(dataDirectory, { recursive: true, force: true });
  }
}
