/**
 * `front`: what it costs to go through the gateway at all. One shard, which answers at once; the same question over HTTP and
 * over gRPC through the gateway, and over gRPC to the shard's service itself. One at a time, and with Poisson arrivals at
 * half of what the slowest of the three answers closed at 64. The gRPC client is grpc-js in the load generator, in whose
 * latencies it is; HTTP is asked over plain sockets.
 */
import { ROUTE_HEADERS } from "../../src/mesh/route-headers.ts";
import type { BenchReport } from "../bench.ts";
import { LoadGenerator } from "../harness/load/load-generator.ts";
import { type MeasuredJob, measureLoad } from "../harness/load/measure-load.ts";
import { nodeOf, SNAPSHOT, VERSION } from "../harness/mesh/bench-names.ts";
import { BenchPods } from "../harness/mesh/bench-pods.ts";
import type { RunningPeer } from "../harness/mesh/running-peer.ts";
import { EVERY_QUERY_SCATTERS, startSkynetes } from "../harness/mesh/skynetes-gateway.ts";
import { benchOptions } from "../harness/report/bench-options.ts";
import { type Cell, interleaved } from "../harness/report/interleaved.ts";
import { type Row, rounded } from "../harness/report/median.ts";

const CLIENTS = 64;
const WARM_UP_SECONDS = 5;
const DIRECT = "direct gRPC";

interface Way {
  readonly name: string;
  readonly peer: RunningPeer;
  readonly job: Pick<MeasuredJob, "meanServiceUs" | "grpc">;
}

export async function run(argv: readonly string[]): Promise<BenchReport> {
  const options = benchOptions(argv, { rounds: 5, seconds: 3, shards: [1] });
  const pods = await BenchPods.start({ shards: 1, processes: 1 });
  const gateway = await startSkynetes(pods, { flags: EVERY_QUERY_SCATTERS });
  const generator = LoadGenerator.start();
  try {
    const ways = waysOf(gateway, pods);
    const capacities: number[] = [];
    for (const { peer, job } of ways) {
      const closed = { ...job, load: { kind: "closed", clients: CLIENTS } as const };
      await measureLoad(peer, pods, generator, { ...closed, seconds: options.quick ? 0.5 : WARM_UP_SECONDS });
      const { result } = await measureLoad(peer, pods, generator, { ...closed, seconds: options.seconds });
      capacities.push(result.answersPerSecond);
    }
    const half = { kind: "open", ratePerSecond: Math.max(1, Math.round(Math.min(...capacities) / 2)) } as const;
    const loads = { "one at a time": { kind: "closed", clients: 1 } as const, "50%": half };
    const cells = Object.entries(loads).flatMap(([loadName, load]) =>
      ways.map(({ name, peer, job }): Cell<Row> => {
        const measure = async () => {
          const { result, ...costs } = await measureLoad(peer, pods, generator, {
            ...job,
            load,
            seconds: options.seconds,
          });
          return {
            way: name,
            load: loadName,
            cpuUsPerAnswer: costs.cpuUsPerAnswer,
            totalCpuUsPerAnswer: costs.totalCpuUsPerAnswer,
            answersPerSecond: result.answersPerSecond,
            faults: result.sent - result.right,
            p50Ms: result.latency.p50Ms,
            p99Ms: result.latency.p99Ms,
          };
        };
        return { name: `${name}, ${loadName}`, measure };
      }),
    );
    const rows = (await interleaved(cells, options.rounds)).map((row, _, all) => withAdded(row, all));
    return { rows, notes: notesOf(rows) };
  } finally {
    await generator.stop();
    await gateway.stop();
    await pods.stop();
  }
}

function waysOf(gateway: RunningPeer, pods: BenchPods): Way[] {
  const direct: RunningPeer = { name: DIRECT, http: pods.pods[0]!.address, pids: [], stop: async () => {} };
  const routed = {
    [ROUTE_HEADERS.version]: VERSION,
    [ROUTE_HEADERS.placement]: nodeOf(0, 0),
    [ROUTE_HEADERS.shard]: "0",
    [ROUTE_HEADERS.snapshot]: SNAPSHOT,
  };
  return [
    { name: DIRECT, peer: direct, job: { meanServiceUs: 0, grpc: routed } },
    { name: "gateway gRPC", peer: gateway, job: { meanServiceUs: 0, grpc: { [ROUTE_HEADERS.snapshot]: SNAPSHOT } } },
    { name: "gateway HTTP", peer: gateway, job: { meanServiceUs: 0 } },
  ];
}

function withAdded(row: Row, all: readonly Row[]): Row {
  const direct = all.find(({ way, load }) => way === DIRECT && load === row.load) as Row;
  const over = (key: string) => rounded(Number(row[key]) - Number(direct[key]));
  const p50Ratio = rounded(Number(row.p50Ms) / Number(direct.p50Ms));
  return { ...row, addedP50Ms: over("p50Ms"), addedP99Ms: over("p99Ms"), p50Ratio };
}

function notesOf(rows: readonly Row[]): string[] {
  const single = rows.filter(({ way, load }) => way !== DIRECT && load === "one at a time");
  return single.map(({ way, p50Ratio }) => `${way}, one at a time: p50 ${p50Ratio} of a direct call's (aim ≤ 1.5)`);
}
