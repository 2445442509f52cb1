/**
 * `tail`: what a straggler costs. 16 shards with two placements each, service times exp(5 ms), Poisson arrivals at a rate
 * far below capacity, so that what is slow is the fault and not the load; every answer is compared byte for byte.
 *
 * Three faults, each against a run without: 1 % of all calls stall 100 ms; one placement of every second shard is ten times
 * as slow; all calls to one placement of every second shard stall during 300 ms of each second. Each with hedging as it is
 * and without (`hedgeShare: 0`); the choice of replicas is the same in both. A call's service time is drawn from the request
 * and its shard, so a replica takes as long as the other: hedging gains nothing on an honest long call.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { BenchReport } from "../bench.ts";
import { LoadGenerator } from "../harness/load/load-generator.ts";
import { measureLoad } from "../harness/load/measure-load.ts";
import { BenchPods } from "../harness/mesh/bench-pods.ts";
import type { RunningPeer } from "../harness/mesh/running-peer.ts";
import { EVERY_QUERY_SCATTERS, startSkynetes } from "../harness/mesh/skynetes-gateway.ts";
import { benchOptions } from "../harness/report/bench-options.ts";
import { type Cell, interleaved } from "../harness/report/interleaved.ts";
import type { Row } from "../harness/report/median.ts";
import { STALL_FREE, tailNotes, withRatios } from "./verdict/tail-notes.ts";

const RATE = 20;
const MEAN_SERVICE_US = 5_000;
const STALL_MS = 300;
/** With two placements and four processes, one process has one placement of every second shard. */
const PROCESSES = 4;

/** Begins a fault; what it returns ends it. */
type Fault = (pods: BenchPods) => Promise<() => Promise<void>>;

const FAULTS: Readonly<Record<string, Fault>> = {
  [STALL_FREE]: async () => async () => {},
  "1 % stall 100 ms": async (pods) => {
    await pods.behave({ stallShare: 0.01, stallMs: 100 });
    return () => pods.behave({});
  },
  "placement 10x slow": async (pods) => {
    await pods.behave({ slowFactor: 10 }, 0);
    return () => pods.behave({});
  },
  "placement stalls 300 ms": async (pods) => {
    const stall = async () => {
      await pods.behave({ stallShare: 1, stallMs: STALL_MS }, 0);
      await new Promise((resolve) => setTimeout(resolve, STALL_MS));
      await pods.behave({}, 0);
    };
    let last = stall();
    const timer = setInterval(() => {
      last = stall();
    }, 1_000);
    return async () => {
      clearInterval(timer);
      await last;
    };
  },
};

export async function run(argv: readonly string[]): Promise<BenchReport> {
  const options = benchOptions(argv, { rounds: 5, seconds: 10, shards: [16] });
  const directory = mkdtempSync(join(tmpdir(), "skynetes-bench-tail-"));
  const manifest = join(directory, "mesh.yaml");
  writeFileSync(manifest, HEDGING_OFF);
  const pods = await BenchPods.start({ shards: options.shards[0] ?? 16, placements: 2, processes: PROCESSES });
  const generator = LoadGenerator.start();
  const peers: RunningPeer[] = [];
  try {
    peers.push(await startSkynetes(pods, { name: "on", flags: EVERY_QUERY_SCATTERS }));
    peers.push(await startSkynetes(pods, { name: "off", flags: ["--manifest", manifest, ...EVERY_QUERY_SCATTERS] }));
    const load = { kind: "open", ratePerSecond: RATE } as const;
    const measure = async (peer: RunningPeer, fault: string, seconds: number) => {
      const end = await FAULTS[fault]!(pods);
      try {
        return await measureLoad(peer, pods, generator, { load, seconds, meanServiceUs: MEAN_SERVICE_US });
      } finally {
        await end();
      }
    };
    for (const peer of peers) await measure(peer, STALL_FREE, options.quick ? 0.5 : 5);
    const cells = Object.keys(FAULTS).flatMap((fault) =>
      peers.map((peer): Cell<Row> => {
        const one = async () => {
          const { result, callsPerRequest, cpuUsPerAnswer } = await measure(peer, fault, options.seconds);
          const { p50Ms, p99Ms, p999Ms } = result.latency;
          return {
            fault,
            hedging: peer.name,
            answers: result.right,
            faults: result.sent - result.right,
            p50Ms,
            p99Ms,
            p999Ms,
            extraCallsPercent: (callsPerRequest / pods.shards - 1) * 100,
            cpuUsPerAnswer,
          };
        };
        return { name: `${fault}, hedging ${peer.name}`, measure: one };
      }),
    );
    const rows = withRatios(await interleaved(cells, options.rounds));
    // The 99th percentile of the greatest of so many exponential times.
    const naturalP99Ms = (MEAN_SERVICE_US / 1000) * Math.log(pods.shards / 0.01);
    return { rows, notes: tailNotes(rows, naturalP99Ms) };
  } finally {
    await generator.stop();
    await Promise.all(peers.map((peer) => peer.stop()));
    await pods.stop();
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Of a mesh that nobody runs: a gateway takes its bounds from it. */
const HEDGING_OFF = `apiVersion: skynetes.io/v1alpha1
kind: Mesh
metadata: { name: bench }
spec:
  shards: 1
  nodes: [{ name: node-a }]
  topics: [{ name: t, format: JSON, timestamps: None }]
  tables: [{ name: t, topic: t, kind: Append, columns: [{ name: a, type: INT64 }] }]
  gateway: { hedgeShare: 0, auditShare: 0 }
`;
