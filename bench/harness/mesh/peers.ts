import type { BenchPods } from "./bench-pods.ts";
import { startGo } from "./go-gateway.ts";
import type { RunningPeer } from "./running-peer.ts";
import { EVERY_QUERY_SCATTERS, type SkynetesOptions, startSkynetes } from "./skynetes-gateway.ts";

/** Where a gateway reaches a pod, when something stands between. */
export type Reach = Pick<SkynetesOptions, "addressOf">;

/** Gateways that `scatter` and its like compare, in the order of the table. */
export const PEERS: Readonly<Record<string, (pods: BenchPods, reach?: Reach) => Promise<RunningPeer>>> = {
  skynetes: (pods, reach) => startSkynetes(pods, { name: "skynetes", flags: EVERY_QUERY_SCATTERS, ...reach }),
  "skynetes-unary": (pods, reach) =>
    startSkynetes(pods, { name: "skynetes-unary", flags: ["--transport", "unary", ...EVERY_QUERY_SCATTERS], ...reach }),
  go: (pods, reach) => startGo(pods, "go", "unary", reach),
  "go-stream": (pods, reach) => startGo(pods, "go-stream", "stream", reach),
};

export function chosenPeers(names: readonly string[]): readonly string[] {
  for (const name of names) {
    if (!(name in PEERS)) throw new Error(`--peers ${name}: there are ${Object.keys(PEERS).join(", ")}`);
  }
  return names.length === 0 ? Object.keys(PEERS) : names;
}
