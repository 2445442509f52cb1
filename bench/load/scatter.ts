/**
 * `scatter`: what an answer costs when every shard must be asked. HTTP in; 16 shards (also 4 and 64), each partial ten
 * groups of (key, 3 × int64); the exact top ten out.
 *
 * Every gateway runs over the same service processes and gets the same kinds of requests, one peer after the other in
 * every round. Load: Poisson arrivals at 25, 50 and 75 % of what `go` answers closed at 64 (a peer that answers less than
 * that gets the same share of its own), and closed at 64. Services answer at once, or after exp(5 ms). Requests are
 * distinct, deadlines and stamps are on, every answer is compared byte for byte, and calls are counted by the handlers.
 */
import type { BenchReport } from "../bench.ts";
import { LoadGenerator } from "../harness/load/load-generator.ts";
import { type MeasuredJob, measureLoad } from "../harness/load/measure-load.ts";
import { BenchPods } from "../harness/mesh/bench-pods.ts";
import { chosenPeers, PEERS } from "../harness/mesh/peers.ts";
import type { RunningPeer } from "../harness/mesh/running-peer.ts";
import { type BenchOptions, benchOptions } from "../harness/report/bench-options.ts";
import { type Cell, interleaved, progress } from "../harness/report/interleaved.ts";
import type { Row } from "../harness/report/median.ts";
import { profiled } from "../harness/report/profiled.ts";
import { scatterNotes } from "./verdict/scatter-notes.ts";

const CLIENTS = 64;
const YARDSTICK = "go";
const SERVICE_TIMES = { "0": 0, "exp(5ms)": 5_000 } as const;
const SHARES = [25, 50, 75] as const;
/** The first thousands of answers of a process are its compiler's. */
const WARM_UP_SECONDS = 8;

export async function run(argv: readonly string[]): Promise<BenchReport> {
  const options = benchOptions(argv, { rounds: 5, seconds: 2, shards: [16, 4, 64] });
  const generator = LoadGenerator.start();
  const rows: Row[] = [];
  try {
    for (const shards of options.shards) rows.push(...(await overShards(shards, options, generator)));
  } finally {
    await generator.stop();
  }
  return { rows, notes: scatterNotes(rows) };
}

async function overShards(shards: number, options: BenchOptions, generator: LoadGenerator): Promise<Row[]> {
  const pods = await BenchPods.start({ shards });
  const peers: RunningPeer[] = [];
  try {
    for (const name of chosenPeers(options.peers)) peers.push(await PEERS[name]!(pods));
    const rows: Row[] = [];
    for (const [serviceTime, meanServiceUs] of Object.entries(SERVICE_TIMES)) {
      const capacities = await findCapacities(peers, pods, generator, options, meanServiceUs);
      const cells = loadsOf(peers, capacities).map(({ peer, load, job }): Cell<Row> => {
        const name = `${shards} shards, ${serviceTime}, ${load}, ${peer.name}`;
        const measure = async () => {
          const work = () => measureLoad(peer, pods, generator, { ...job, seconds: options.seconds, meanServiceUs });
          const measured = await profiled(peer, options.profile, `${peer.name}-${shards}-${serviceTime}-${load}`, work);
          const { result, ...costs } = measured;
          return {
            peer: peer.name,
            shards,
            load,
            serviceTime,
            ratePerSecond: job.load.kind === "open" ? job.load.ratePerSecond : 0,
            ...costs,
            answersPerSecond: result.answersPerSecond,
            faults: result.sent - result.right,
            p50Ms: result.latency.p50Ms,
            p99Ms: result.latency.p99Ms,
          };
        };
        return { name, measure };
      });
      rows.push(...(await interleaved(cells, options.rounds)));
    }
    return rows;
  } finally {
    await Promise.all(peers.map((peer) => peer.stop()));
    await pods.stop();
  }
}

/** Answers per second closed at 64, by peer. */
async function findCapacities(
  peers: readonly RunningPeer[],
  pods: BenchPods,
  generator: LoadGenerator,
  options: BenchOptions,
  meanServiceUs: number,
): Promise<ReadonlyMap<string, number>> {
  const closed = { kind: "closed", clients: CLIENTS } as const;
  const capacities = new Map<string, number>();
  for (const peer of peers) {
    progress(`${pods.shards} shards: capacity of ${peer.name}`);
    const job = { load: closed, meanServiceUs };
    const warmUp = options.quick ? options.seconds : WARM_UP_SECONDS;
    await measureLoad(peer, pods, generator, { ...job, seconds: warmUp });
    const { result } = await measureLoad(peer, pods, generator, { ...job, seconds: options.seconds });
    capacities.set(peer.name, result.answersPerSecond);
  }
  return capacities;
}

interface PeerLoad {
  readonly peer: RunningPeer;
  readonly load: string;
  readonly job: Pick<MeasuredJob, "load">;
}

/** Load by load, so that peers stand beside one another in time. */
function loadsOf(peers: readonly RunningPeer[], capacities: ReadonlyMap<string, number>): PeerLoad[] {
  const yardstick = capacities.get(YARDSTICK) ?? Number.POSITIVE_INFINITY;
  const open = SHARES.flatMap((share) =>
    peers.map((peer) => {
      const capacity = Math.min(yardstick, capacities.get(peer.name) ?? 0);
      const ratePerSecond = Math.max(1, Math.round((capacity * share) / 100));
      return { peer, load: `${share}%`, job: { load: { kind: "open", ratePerSecond } as const } };
    }),
  );
  const closed = peers.map((peer) => {
    return { peer, load: `closed ${CLIENTS}`, job: { load: { kind: "closed", clients: CLIENTS } as const } };
  });
  return [...open, ...closed];
}
