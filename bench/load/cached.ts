/**
 * `cached`: what an answer costs that was made before, and what queries cost that ask the same at once. HTTP in and out,
 * 16 shards, ten groups out; closed at 64; every answer is compared byte for byte, and calls are counted by the handlers.
 *
 * `hits`: a Zipf mix over 10,000 requests whose answers are all kept. `zipf`: the same mix with room for a tenth of them.
 * `bursts`: 64 clients send the same new request at once, again and again, with nothing kept. Peers: Fastify as it comes,
 * which answers the same requests with constant bytes of the same length; and the gateway without caches and joining.
 */
import { join } from "node:path";
import type { BenchReport } from "../bench.ts";
import type { RepeatedJob, RepeatedResult } from "../harness/load/repeated/repeated-job.ts";
import { BenchPods } from "../harness/mesh/bench-pods.ts";
import type { RunningPeer } from "../harness/mesh/running-peer.ts";
import { startSkynetes } from "../harness/mesh/skynetes-gateway.ts";
import { AskedProcess } from "../harness/process/asked-process.ts";
import { cpuSince } from "../harness/process/cpu-time.ts";
import { benchOptions } from "../harness/report/bench-options.ts";
import { type Cell, interleaved } from "../harness/report/interleaved.ts";
import { type Row, rounded } from "../harness/report/median.ts";
import { profiled } from "../harness/report/profiled.ts";
import { rightBody } from "../harness/service/right-answer.ts";

const CLIENTS = 64;
const CONSTANT = join(import.meta.dirname, "../harness/peer/constant-process.ts");
const LOAD = join(import.meta.dirname, "../harness/load/repeated/repeated-process.ts");
/** Where all answers find room: 10,000 take about 20 MB, and half of it is for partials. */
const FOR_ALL = 512 * 2 ** 20;
/** Where about a tenth does. */
const FOR_A_TENTH = 4 * 2 ** 20;

/** Long enough that a burst is there before its answer, on a busy machine too. */
const BURST_SERVICE_US = 20_000;

type Work = Pick<RepeatedJob, "order" | "seconds" | "distinct" | "meanServiceUs">;

export async function run(argv: readonly string[]): Promise<BenchReport> {
  const options = benchOptions(argv, { rounds: 5, seconds: 3, shards: [16] });
  const shards = options.shards[0] ?? 16;
  const distinct = options.quick ? 500 : 10_000;
  const bodyBytes = rightBody(1, shards, 10).length;
  const pods = await BenchPods.start({ shards });
  const generator = AskedProcess.fork("load", LOAD);
  const peers: RunningPeer[] = [];
  const gateway = async (name: string, ...flags: string[]) => {
    const peer = await startSkynetes(pods, { name, flags });
    peers.push(peer);
    return peer;
  };
  try {
    const fastify = await constantServer(bodyBytes);
    peers.push(fastify);
    const kept = await gateway("skynetes", "--cache-bytes", String(FOR_ALL));
    const small = await gateway("skynetes, a tenth kept", "--cache-bytes", String(FOR_A_TENTH));
    const joined = await gateway("skynetes, joined only", "--cache-bytes", "0");
    const bare = await gateway("skynetes, neither", "--cache-bytes", "0", "--no-join");

    let seed = 1_000_000;
    const job = (peer: RunningPeer, work: Work, firstSeed = 1): RepeatedJob => ({
      ...work,
      address: peer.http,
      shards,
      firstSeed,
      clients: CLIENTS,
      ...(peer === fastify ? { body: "x".repeat(bodyBytes) } : {}),
    });
    const zipf: Work = { order: "zipf", seconds: options.seconds, distinct, meanServiceUs: 0 };
    await generator.ask<RepeatedResult>("repeated", { ...job(kept, { ...zipf, order: "all" }) });
    // The first thousands of answers of a process are its compiler's.
    for (const peer of [fastify, kept, small]) await generator.ask<RepeatedResult>("repeated", { ...job(peer, zipf) });

    const cell = (load: string, peer: RunningPeer, work: Work, first?: () => number): Cell<Row> => ({
      name: `${load}, ${peer.name}`,
      measure: async () => {
        const callsBefore = await pods.calls();
        const cpu = cpuSince(peer.pids);
        const result = await profiled(peer, options.profile, `${load}-${peer.name}`, () => {
          return generator.ask<RepeatedResult>("repeated", { ...job(peer, work, first?.()) });
        });
        const cpuUs = cpu() / 1000;
        const calls = (await pods.calls()) - callsBefore;
        return {
          load,
          peer: peer.name,
          cpuUsPerAnswer: cpuUs / result.right,
          answersPerSecond: result.answersPerSecond,
          scattersPerAnswer: calls / shards / result.right,
          hitPercent: (100 * (result.cacheStatus["skynetes; hit"] ?? 0)) / result.right,
          p50Ms: result.latency.p50Ms,
          p99Ms: result.latency.p99Ms,
        };
      },
    });
    const bursts: Work = {
      order: "bursts",
      seconds: 0,
      distinct: options.quick ? 5 : 10,
      meanServiceUs: BURST_SERVICE_US,
    };
    const newSeeds = () => {
      seed += bursts.distinct;
      return seed;
    };
    const rows = await interleaved(
      [
        cell("hits", fastify, zipf),
        cell("hits", kept, zipf),
        cell("zipf", small, zipf),
        cell("zipf", bare, zipf),
        cell("bursts", joined, bursts, newSeeds),
        cell("bursts", bare, bursts, newSeeds),
      ],
      options.rounds,
    );
    return { rows, notes: notesOf(rows, bodyBytes) };
  } finally {
    await generator.stop();
    await Promise.all(peers.map((peer) => peer.stop()));
    await pods.stop();
  }
}

async function constantServer(bytes: number): Promise<RunningPeer> {
  const { process: server, ready } = await AskedProcess.start("fastify", process.execPath, [CONSTANT, String(bytes)]);
  return { name: "fastify, constant", http: ready.http as string, pids: [server.pid], stop: () => server.stop() };
}

function notesOf(rows: readonly Row[], bodyBytes: number): string[] {
  const of = (load: string, peer: string, key: string) =>
    Number(rows.find((row) => row.load === load && row.peer === peer)?.[key]);
  const rate = (key: string) => of("hits", "skynetes", key) / of("hits", "fastify, constant", key);
  return [
    `a body has ${bodyBytes} bytes`,
    `hits, of Fastify's rate: ${rounded(rate("answersPerSecond"))} measured, ${rounded(1 / rate("cpuUsPerAnswer"))} by CPU (aim ≥ 0.5)`,
    `scatters for a burst of ${CLIENTS}: ${rounded(CLIENTS * of("bursts", "skynetes, joined only", "scattersPerAnswer"))} (aim 1)`,
  ];
}
