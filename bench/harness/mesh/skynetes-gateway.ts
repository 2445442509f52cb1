import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { request } from "undici";
import { dataDirectory } from "../../../src/up/control/data-directory.ts";
import { GatewayAdminService } from "../../../src/wire/generated/skynetes/v1/gateway_admin_pb.ts";
import { unaryClient } from "../../../src/wire/grpc-service.ts";
import { AskedProcess } from "../process/asked-process.ts";
import { processTree } from "../process/cpu-time.ts";
import type { Holdings, LoopDelay } from "../process/gateway-probe.ts";
import type { ServedPod } from "../service/pod-process.ts";
import type { BenchPods } from "./bench-pods.ts";
import { benchRoutes } from "./bench-routes.ts";
import type { RunningPeer } from "./running-peer.ts";

const PROGRAM = resolve(import.meta.dirname, "../../../src/main/skynetes.ts");
const PROBE = join(import.meta.dirname, "../process/gateway-probe.ts");
const APPLY_MS = 30_000;

/** Flags without which what is kept from before would be measured instead of the way to the shards. */
export const EVERY_QUERY_SCATTERS: readonly string[] = ["--cache-bytes", "0", "--no-join"];

export interface SkynetesOptions {
  /** As rows of the report name it. */
  readonly name?: string;
  /** More of `skynetes gateway`'s options. */
  readonly flags?: readonly string[];
  /** More of Node's own options. */
  readonly nodeFlags?: readonly string[];
  /** Puts something between the gateway and a pod. */
  readonly addressOf?: (pod: ServedPod) => string;
  readonly host?: string;
}

export interface RunningSkynetes extends RunningPeer {
  readonly grpc: string;
  readonly admin: string;
  loopDelay(): Promise<LoopDelay>;
  holdings(): Promise<Holdings>;
}

/** `skynetes gateway` as it is, over the pods: sealed in an archive of its own, verified and applied on its admin port. */
export async function startSkynetes(pods: BenchPods, options: SkynetesOptions = {}): Promise<RunningSkynetes> {
  const { name = "skynetes", flags = [], nodeFlags = [], addressOf, host = "127.0.0.1" } = options;
  const root = mkdtempSync(join(tmpdir(), "skynetes-bench-gateway-"));
  const table = await benchRoutes(dataDirectory(root).archive, pods.shards, pods.pods, addressOf);
  const ports = ["--host", host, "--http-port", "0", "--grpc-port", "0", "--admin-port", "0"];
  const argv = ["--import", PROBE, ...nodeFlags, PROGRAM, "gateway", "--data-dir", root, ...ports, ...flags];
  const { process: gateway, ready } = await AskedProcess.start(name, process.execPath, argv, { probed: true });
  const admin = unaryClient(GatewayAdminService, ready.admin as string);
  try {
    const { verified, failures } = await admin.verifyRoutes({ table }, { timeoutMs: APPLY_MS });
    if (!verified) throw new Error(`verify routes of ${name}: ${JSON.stringify(failures.map((f) => f.reason))}`);
    await admin.applyTable({ table }, { timeoutMs: APPLY_MS });
  } finally {
    admin.close();
  }
  const loopDelay = async () => {
    const delay = await gateway.ask<LoopDelay>("loopDelay");
    await gateway.ask("resetLoopDelay");
    return delay;
  };
  return {
    name,
    http: ready.http as string,
    grpc: ready.grpc as string,
    admin: ready.admin as string,
    pids: processTree(gateway.pid),
    loopDelay,
    loopDelayP99Ms: async () => (await loopDelay()).p99Ms,
    frames: () => metricOf(ready.http as string, "skynetes_stream_frames_sent"),
    holdings: () => gateway.ask<Holdings>("holdings"),
    async profile(file) {
      await gateway.ask("startProfile");
      return () => gateway.ask("stopProfile", file);
    },
    async stop() {
      await gateway.stop();
      rmSync(root, { recursive: true, force: true });
    },
  };
}

/** The sum of a counter's values on `/metrics`. */
async function metricOf(http: string, name: string): Promise<number> {
  const text = await (await request(`http://${http}/metrics`)).body.text();
  const values = [...text.matchAll(new RegExp(`^${name}(?:_total)?(?:\\{[^}]*\\})? ([0-9.e+]+)$`, "gm"))];
  return values.reduce((sum, [, value]) => sum + Number(value), 0);
}
