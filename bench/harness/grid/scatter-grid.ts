import type { LoadGenerator } from "../load/load-generator.ts";
import { type MeasuredJob, measureLoad } from "../load/measure-load.ts";
import type { BenchPods } from "../mesh/bench-pods.ts";
import type { RunningPeer } from "../mesh/running-peer.ts";
import type { BenchOptions } from "../report/bench-options.ts";
import { type Cell, interleaved, progress } from "../report/interleaved.ts";
import type { Row } from "../report/median.ts";
import { profiled } from "../report/profiled.ts";

const CLIENTS = 64;
/** Rates are shares of what this peer answers closed at 64. */
export const YARDSTICK = "go";
const SERVICE_TIMES = { "0": 0, "exp(5ms)": 5_000 } as const;
const SHARES = [25, 50, 75] as const;
/** The first thousands of answers of a process are its compiler's. */
const WARM_UP_SECONDS = 8;

export interface Grid {
  readonly pods: BenchPods;
  readonly peers: readonly RunningPeer[];
  readonly generator: LoadGenerator;
  readonly options: BenchOptions;
  /** Processes between gateway and services, whose CPU counts in the total. */
  readonly betweenPids: readonly number[];
}

/** Every peer at every load and service time, peer beside peer in every round. */
export async function scatterGrid(grid: Grid): Promise<Row[]> {
  const rows: Row[] = [];
  for (const [serviceTime, meanServiceUs] of Object.entries(SERVICE_TIMES)) {
    const isFirst = rows.length === 0;
    const capacities = await findCapacities(grid, meanServiceUs, isFirst ? WARM_UP_SECONDS : WARM_UP_SECONDS / 4);
    const cells = loadsOf(grid.peers, capacities).map((peerLoad) => cellOf(grid, peerLoad, serviceTime, meanServiceUs));
    rows.push(...(await interleaved(cells, grid.options.rounds)));
  }
  return rows;
}

function cellOf(grid: Grid, { peer, load, job }: PeerLoad, serviceTime: string, meanServiceUs: number): Cell<Row> {
  const { pods, generator, options, betweenPids } = grid;
  const { shards } = pods;
  const measure = async () => {
    const whole = { ...job, seconds: options.seconds, meanServiceUs };
    const work = () => measureLoad(peer, pods, generator, whole, betweenPids);
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
  return { name: `${shards} shards, ${serviceTime}, ${load}, ${peer.name}`, measure };
}

/** Answers per second closed at 64, by peer. */
async function findCapacities(
  grid: Grid,
  meanServiceUs: number,
  warmUpSeconds: number,
): Promise<ReadonlyMap<string, number>> {
  const { pods, peers, generator, options } = grid;
  const job = { load: { kind: "closed", clients: CLIENTS } as const, meanServiceUs };
  const capacities = new Map<string, number>();
  for (const peer of peers) {
    progress(`${pods.shards} shards: capacity of ${peer.name}`);
    await measureLoad(peer, pods, generator, { ...job, seconds: options.quick ? options.seconds : warmUpSeconds });
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
