/**
 * `soak [SECONDS]` (300): half of the gateway's capacity for five minutes, then nothing: what it holds must be what it
 * held before.
 *
 * A first run under the same load makes the baseline: code compiled, connections open, caches of their size. Both times
 * the load has gone, connections of clients are closed, garbage is collected (`--expose-gc`). Compared are the heap, what
 * keeps the process alive by kind (sockets, timers, …), and the queries that the gateway thinks are under way.
 */
import type { BenchReport } from "../bench.ts";
import { LoadGenerator } from "../harness/load/load-generator.ts";
import { BenchPods } from "../harness/mesh/bench-pods.ts";
import { EVERY_QUERY_SCATTERS, type RunningSkynetes, startSkynetes } from "../harness/mesh/skynetes-gateway.ts";
import type { Holdings } from "../harness/process/gateway-probe.ts";

const SHARDS = 4;
const SERVICE_US = 5_000;
const PROBE_S = 5;
const BASELINE_S = 15;
/** Until sockets of clients and timers of the last queries are gone. */
const SETTLE_MS = 8_000;
const DISTINCT = 4096;
const CLOSED_CLIENTS = 32;

const HEAP_SHARE_MAX = 1.15;
const HEAP_MORE_MAX = 4 * 2 ** 20;
/** A connection that is opened anew just now is no leak. */
const RESOURCES_MORE_MAX = 2;

export async function run(options: readonly string[]): Promise<BenchReport> {
  const isQuick = options.includes("--quick");
  const seconds = Number(options.find((option) => /^\d+$/.test(option)) ?? (isQuick ? 2 : 300));
  const pods = await BenchPods.start({ shards: SHARDS });
  const gateway = await startSkynetes(pods, { nodeFlags: ["--expose-gc"], flags: EVERY_QUERY_SCATTERS });
  const generator = LoadGenerator.start();
  const job = { address: gateway.http, shards: SHARDS, limit: 10, meanServiceUs: SERVICE_US, distinct: DISTINCT };
  const load = (ratePerSecond: number, lasting: number) => {
    return generator.run({ ...job, load: { kind: "open", ratePerSecond }, seconds: lasting });
  };
  try {
    const closed = { kind: "closed", clients: CLOSED_CLIENTS } as const;
    const { answersPerSecond } = await generator.run({ ...job, load: closed, seconds: isQuick ? 1 : PROBE_S });
    const rate = answersPerSecond / 2;
    await load(rate, isQuick ? 1 : BASELINE_S);
    const before = await settled(gateway);
    const { right, faults } = await load(rate, seconds);
    const after = await settled(gateway);
    return report(before, after, { rate, right, faults: Object.values(faults).reduce((a, b) => a + b, 0), seconds });
  } finally {
    await generator.stop();
    await gateway.stop();
    await pods.stop();
  }
}

interface Settled extends Holdings {
  readonly queries: number;
}

async function settled(gateway: RunningSkynetes): Promise<Settled> {
  await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
  const reply = await fetch(`http://${gateway.http}/v1/queries`, { headers: { connection: "close" } });
  const { queries } = (await reply.json()) as { queries: readonly unknown[] };
  // What this question opened is gone by the second look.
  await new Promise((resolve) => setTimeout(resolve, 500));
  await gateway.holdings();
  return { ...(await gateway.holdings()), queries: queries.length };
}

function report(
  before: Settled,
  after: Settled,
  done: { readonly rate: number; readonly right: number; readonly faults: number; readonly seconds: number },
): BenchReport {
  const mib = (bytes: number) => Math.round((bytes / 2 ** 20) * 10) / 10;
  const heapMax = Math.max(before.heapUsed * HEAP_SHARE_MAX, before.heapUsed + HEAP_MORE_MAX);
  const row = (what: string, was: number, is: number, max: number) => ({
    what,
    before: was,
    after: is,
    atMost: max,
    verdict: is <= max ? "back" : "NOT BACK",
  });
  const kinds = [...new Set([...Object.keys(before.resources), ...Object.keys(after.resources)])].sort();
  const rows = [
    row("heap MiB", mib(before.heapUsed), mib(after.heapUsed), mib(heapMax)),
    row("external MiB", mib(before.external), mib(after.external), mib(before.external + HEAP_MORE_MAX)),
    row("queries under way", before.queries, after.queries, 0),
    ...kinds.map((kind) => {
      const was = before.resources[kind] ?? 0;
      return row(kind, was, after.resources[kind] ?? 0, was + RESOURCES_MORE_MAX);
    }),
  ];
  const leaks = rows.filter(({ verdict }) => verdict !== "back");
  if (leaks.length > 0) throw new Error(`held after ${done.seconds} s: ${JSON.stringify(leaks)}`);
  return {
    rows,
    notes: [
      `${done.seconds} s at ${Math.round(done.rate)} queries/s: ${done.right} right answers, ${done.faults} faults`,
    ],
  };
}
