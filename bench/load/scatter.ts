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
import { scatterGrid } from "../harness/grid/scatter-grid.ts";
import { LoadGenerator } from "../harness/load/load-generator.ts";
import { BenchPods } from "../harness/mesh/bench-pods.ts";
import { chosenPeers, PEERS } from "../harness/mesh/peers.ts";
import type { RunningPeer } from "../harness/mesh/running-peer.ts";
import { benchOptions } from "../harness/report/bench-options.ts";
import type { Row } from "../harness/report/median.ts";
import { scatterNotes } from "./verdict/scatter-notes.ts";

export async function run(argv: readonly string[]): Promise<BenchReport> {
  const options = benchOptions(argv, { rounds: 5, seconds: 2, shards: [16, 4, 64] });
  const generator = LoadGenerator.start();
  const rows: Row[] = [];
  try {
    for (const shards of options.shards) {
      const pods = await BenchPods.start({ shards });
      const peers: RunningPeer[] = [];
      try {
        for (const name of chosenPeers(options.peers)) peers.push(await PEERS[name]!(pods));
        rows.push(...(await scatterGrid({ pods, peers, generator, options, betweenPids: [] })));
      } finally {
        await Promise.all(peers.map((peer) => peer.stop()));
        await pods.stop();
      }
    }
  } finally {
    await generator.stop();
  }
  return { rows, notes: scatterNotes(rows) };
}
