import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { request } from "undici";
import { AskedProcess } from "../process/asked-process.ts";
import { goProgram } from "../tool/tool-cache.ts";
import { nodeOf, SERVICE, SNAPSHOT, SNAPSHOT_ROWS, stateDigestOf, VERSION } from "./bench-names.ts";
import type { BenchPods } from "./bench-pods.ts";
import type { Reach } from "./peers.ts";
import type { RunningPeer } from "./running-peer.ts";

const SOURCES = resolve(import.meta.dirname, "../../peer/go");

/** The Go gateway of `bench/peer/go` over the pods: `unary`, or `stream` for our own stream protocol. */
export async function startGo(
  pods: BenchPods,
  name: string,
  transport: "unary" | "stream",
  { addressOf = (pod) => pod.address }: Reach = {},
): Promise<RunningPeer> {
  const directory = mkdtempSync(join(tmpdir(), "skynetes-bench-go-"));
  const config = join(directory, "config.json");
  const shards = pods.pods
    .filter((pod) => pod.placement === 0)
    .map((pod) => ({
      shard: pod.shard,
      node: nodeOf(pod.shard, pod.placement),
      address: addressOf(pod),
      stateDigest: stateDigestOf(pod.shard),
      rows: SNAPSHOT_ROWS,
    }));
  writeFileSync(config, JSON.stringify({ snapshot: SNAPSHOT, version: VERSION, service: SERVICE, shards }));
  const argv = ["-config", config, "-transport", transport];
  const { process: gateway, ready } = await AskedProcess.start(name, goProgram("bench-peer", SOURCES), argv);
  return {
    name,
    http: ready.http as string,
    pids: [gateway.pid],
    frames: async () => Number(await (await request(`http://${ready.http}/frames`)).body.text()),
    async stop() {
      await gateway.stop();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
