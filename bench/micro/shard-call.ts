/**
 * `shard-call`: processor time of the gateway's side for one shard call, through the transport alone, by unary gRPC and
 * packed on streams. 16 services in another process answer 200 bytes; queries of one call to each shard are kept under
 * way, the next begun when one is whole. Time is user and system of this process, which does nothing else.
 *
 * Options: seconds for each row (2), queries under way (32), shards (16), one transport alone (for `node --cpu-prof`).
 */
import { spawn } from "node:child_process";
import { join } from "node:path";
import { ConverseTransport } from "../../src/gateway/scatter/converse/converse-transport.ts";
import { GrpcShardTransport } from "../../src/gateway/scatter/grpc-shard-transport.ts";
import type { ShardCall, ShardTransport } from "../../src/gateway/scatter/shard-transport.ts";
import { systemClock as clock, systemRandomness as randomness } from "../../src/process/clock.ts";
import type { BenchReport } from "../bench.ts";
import { PATH, SNAPSHOT, stampOf, VERSION } from "../service/call-facts.ts";

const PARTIAL_MAX = 64 * 1024 * 1024;

export async function run(options: readonly string[]): Promise<BenchReport> {
  const [seconds = 2, underWay = 32, shards = 16] = options.slice(0, 3).map(Number);
  const transports = options[3] === undefined ? ["unary", "stream"] : [options[3]];
  const rows: Record<string, string | number>[] = [];
  for (const serviceMs of [0, 5]) {
    const { addresses, stop } = await services(shards, serviceMs);
    for (const transport of transports) {
      const row = await measure(transport, addresses, underWay, seconds * 1000);
      rows.push({
        transport,
        shards,
        underWay,
        "service time": serviceMs === 0 ? "none" : `exp(${serviceMs} ms)`,
        ...row,
      });
    }
    stop();
  }
  return { rows };
}

async function services(shards: number, serviceMs: number) {
  const file = join(import.meta.dirname, "../service/answering-services.ts");
  const child = spawn(process.execPath, [file, String(shards), "200", String(serviceMs)], {
    stdio: ["ignore", "pipe", 2],
  });
  const line = await new Promise<string>((resolve) =>
    child.stdout?.once("data", (data: Buffer) => resolve(String(data))),
  );
  return { addresses: (JSON.parse(line) as { addresses: string[] }).addresses, stop: () => void child.kill() };
}

async function measure(kind: string, addresses: readonly string[], underWay: number, ms: number) {
  const unary = new GrpcShardTransport(clock, PARTIAL_MAX);
  const streams = new ConverseTransport({ clock, randomness, unary, partialBytesMax: PARTIAL_MAX });
  const transport = kind === "unary" ? unary : streams;
  await load(transport, addresses, underWay, ms / 4);
  const { framesSent, callsSent } = streams.counts;
  const before = process.cpuUsage();
  const startedAt = performance.now();
  const queries = await load(transport, addresses, underWay, ms);
  const elapsed = (performance.now() - startedAt) / 1000;
  const { user, system } = process.cpuUsage(before);
  const calls = queries * addresses.length;
  const frames = streams.counts.framesSent - framesSent;
  streams.close();
  return {
    "µs a call": round((user + system) / calls),
    "calls a frame": frames === 0 ? 1 : round((streams.counts.callsSent - callsSent) / frames),
    "queries/s": Math.round(queries / elapsed),
  };
}

async function load(transport: ShardTransport, addresses: readonly string[], underWay: number, ms: number) {
  const until = performance.now() + ms;
  let queries = 0;
  const lane = async () => {
    while (performance.now() < until) {
      const controller = new AbortController();
      await Promise.all(addresses.map((address, shard) => transport.unary(callOf(address, shard), controller.signal)));
      queries++;
    }
  };
  await Promise.all(Array.from({ length: underWay }, lane));
  return queries;
}

const request = Buffer.alloc(60, 7);

function callOf(address: string, shard: number): ShardCall {
  return {
    address,
    node: "node",
    version: VERSION,
    converse: true,
    expected: stampOf(shard),
    shard,
    snapshot: SNAPSHOT,
    path: PATH,
    request,
    timeoutMs: 10_000,
    traceparent: undefined,
  };
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
