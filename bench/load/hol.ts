/**
 * `hol`: do large partials hold up small calls? One shard, some milliseconds away; small questions come by Poisson while
 * another client asks, one after the other, for partials of 3 MB or 50 MB from the same pod, of which the answer needs one
 * block. Round trips of 0.5, 2 and 10 ms with a loss of 0.1 %.
 *
 * The network is a relay on loopback (`harness/network/delay-relay.ts`): it delays bytes, and holds a connection up for a
 * round trip where a segment is lost. It is there for kernels without `netem`, which cannot delay by themselves.
 */
import type { BenchReport } from "../bench.ts";
import { LoadGenerator } from "../harness/load/load-generator.ts";
import type { LoadResult } from "../harness/load/load-job.ts";
import { BenchPods } from "../harness/mesh/bench-pods.ts";
import { PEERS } from "../harness/mesh/peers.ts";
import type { RunningPeer } from "../harness/mesh/running-peer.ts";
import { DelayedNetwork } from "../harness/network/delayed-network.ts";
import { benchOptions } from "../harness/report/bench-options.ts";
import { type Cell, interleaved } from "../harness/report/interleaved.ts";
import { type Row, rounded } from "../harness/report/median.ts";

const ROUND_TRIPS_MS = [0.5, 2, 10];
const LOSS = 0.001;
const BIG = { none: 0, "3 MB": 3_000_000, "50 MB": 50_000_000 } as const;
const SMALL_PER_SECOND = 50;
const WARM_UP = { kind: "closed", clients: 8 } as const;
const WARM_UP_SECONDS = 5;

export async function run(argv: readonly string[]): Promise<BenchReport> {
  const options = benchOptions(argv, { rounds: 5, seconds: 4, shards: [1] });
  const pods = await BenchPods.start({ shards: 1, processes: 1 });
  const network = await DelayedNetwork.start(pods);
  const small = LoadGenerator.start();
  const big = LoadGenerator.start();
  const peers: RunningPeer[] = [];
  try {
    const names = options.peers.length === 0 ? ["skynetes", "skynetes-unary"] : options.peers;
    for (const name of names) peers.push(await PEERS[name]!(pods, { addressOf: network.addressOf.bind(network) }));
    const job = { seconds: options.seconds, shards: 1, limit: 10, meanServiceUs: 0 };
    const seconds = options.quick ? 0.5 : WARM_UP_SECONDS;
    for (const { http } of peers) {
      await small.run({ ...job, address: http, load: WARM_UP, seconds, distinct: 1024 });
      await big.run({
        ...job,
        address: http,
        load: { kind: "closed", clients: 1 },
        seconds,
        distinct: 1,
        fillBytes: BIG["3 MB"],
      });
    }
    const cells = ROUND_TRIPS_MS.flatMap((roundTripMs) =>
      Object.entries(BIG).flatMap(([bigName, fillBytes]) =>
        peers.map((peer): Cell<Row> => {
          const measure = async () => {
            await network.setQuality({ roundTripMs, loss: LOSS });
            const load = { kind: "open", ratePerSecond: SMALL_PER_SECOND } as const;
            const [smalls, bigs] = await Promise.all([
              small.run({ ...job, address: peer.http, load, distinct: 1024 }),
              fillBytes === 0 ? undefined : bigLoad(big, { ...job, address: peer.http, fillBytes }),
            ]);
            return rowOf(peer.name, roundTripMs, bigName, smalls, bigs);
          };
          return { name: `${peer.name}, ${roundTripMs} ms, ${bigName}`, measure };
        }),
      ),
    );
    const rows = (await interleaved(cells, options.rounds)).map((row, _, all) => withRatio(row, all));
    return { rows, notes: notesOf(rows) };
  } finally {
    await Promise.all([...peers, small, big].map((part) => part.stop()));
    await network.stop();
    await pods.stop();
  }
}

type BigJob = Omit<Parameters<LoadGenerator["run"]>[0], "load" | "distinct">;

function bigLoad(generator: LoadGenerator, job: BigJob): Promise<LoadResult> {
  return generator.run({ ...job, load: { kind: "closed", clients: 1 }, distinct: 1 });
}

function rowOf(peer: string, roundTripMs: number, big: string, smalls: LoadResult, bigs: LoadResult | undefined): Row {
  return {
    peer,
    roundTripMs,
    big,
    smallAnswers: smalls.right,
    faults: smalls.sent - smalls.right + (bigs === undefined ? 0 : bigs.sent - bigs.right),
    p50Ms: smalls.latency.p50Ms,
    p99Ms: smalls.latency.p99Ms,
    bigAnswers: bigs?.right ?? 0,
    bigP50Ms: bigs === undefined || bigs.right === 0 ? 0 : bigs.latency.p50Ms,
  };
}

function withRatio(row: Row, all: readonly Row[]): Row {
  const alone = all.find(
    ({ peer, roundTripMs, big }) => peer === row.peer && roundTripMs === row.roundTripMs && big === "none",
  ) as Row;
  return { ...row, p99Ratio: rounded(Number(row.p99Ms) / Number(alone.p99Ms)) };
}

function notesOf(rows: readonly Row[]): string[] {
  const ours = rows.filter(({ peer, big }) => peer === "skynetes" && big !== "none");
  return ours.map(({ roundTripMs, big, p99Ratio }) => {
    return `small calls at ${roundTripMs} ms beside ${big}: p99 ${p99Ratio} of alone (aim ≤ 2)`;
  });
}
