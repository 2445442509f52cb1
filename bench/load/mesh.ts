/**
 * `mesh`: `scatter` as it is in a service mesh. Between every gateway and the services stand two real Envoys, one beside the
 * gateway and one before the services; the first routes by `x-skynetes-version` and `x-skynetes-placement`. All peers go
 * through the same two. The total is gateway, Envoys and services.
 */
import type { BenchReport } from "../bench.ts";
import { scatterGrid } from "../harness/grid/scatter-grid.ts";
import { LoadGenerator } from "../harness/load/load-generator.ts";
import { BenchPods } from "../harness/mesh/bench-pods.ts";
import { EnvoyPair } from "../harness/mesh/envoy-pair.ts";
import { chosenPeers, PEERS } from "../harness/mesh/peers.ts";
import type { RunningPeer } from "../harness/mesh/running-peer.ts";
import { benchOptions } from "../harness/report/bench-options.ts";
import type { Row } from "../harness/report/median.ts";
import { meshNotes } from "./verdict/scatter-notes.ts";

export async function run(argv: readonly string[]): Promise<BenchReport> {
  const options = benchOptions(argv, { rounds: 5, seconds: 2, shards: [16] });
  const generator = LoadGenerator.start();
  const rows: Row[] = [];
  try {
    for (const shards of options.shards) {
      const pods = await BenchPods.start({ shards });
      const envoys = await EnvoyPair.start(pods);
      const peers: RunningPeer[] = [];
      try {
        const reach = { addressOf: envoys.addressOf.bind(envoys) };
        for (const name of chosenPeers(options.peers)) peers.push(await PEERS[name]!(pods, reach));
        rows.push(...(await scatterGrid({ pods, peers, generator, options, betweenPids: envoys.pids })));
      } finally {
        await Promise.all(peers.map((peer) => peer.stop()));
        await envoys.stop();
        await pods.stop();
      }
    }
  } finally {
    await generator.stop();
  }
  return { rows, notes: meshNotes(rows) };
}
