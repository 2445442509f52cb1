import { askShard } from "../../../src/gateway/scatter/ask-shard.ts";
import { SCATTER_POLICY, type ScatterPolicy } from "../../../src/gateway/scatter/scatter-policy.ts";
import { shardAsker } from "../../../src/gateway/scatter/shard-asker.ts";
import type { ShardQuestion } from "../../../src/gateway/scatter/shard-question.ts";
import type { ShardCall, ShardReply, ShardTransport } from "../../../src/gateway/scatter/shard-transport.ts";
import { seeded, VirtualClock } from "../../process/virtual-clock.ts";

const SHARDS = 16;
const SERVICE_MS = 5;
const MESSAGE = new Uint8Array(8);

export interface Simulated {
  /** How long a call takes at a placement, in milliseconds, which without faults takes `ordinaryMs`. */
  readonly serviceMs: (call: ShardCall, atMs: number, ordinaryMs: number, random: ReturnType<typeof seeded>) => number;
  readonly policy?: ScatterPolicy;
  readonly queries: number;
  /** Poisson arrivals. */
  readonly queriesPerSecond: number;
  readonly seed: number;
  readonly deadlineMs?: number;
}

export interface SimulatedResult {
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
  /** Calls beyond one for each question, for each question. */
  readonly extraShare: number;
  readonly faults: number;
}

/**
 * Queries over sixteen shards with two placements each, in virtual time: the same figures on every machine. How long a shard
 * takes is a matter of the query and the shard, exponential, and the same at both placements: to hedge an honest long call
 * gains nothing.
 */
export async function simulateTail(simulated: Simulated): Promise<SimulatedResult> {
  const clock = new VirtualClock();
  const [arrivals, service] = [seeded(simulated.seed), seeded(simulated.seed + 1)];
  let calls = 0;
  /** By the query's request, then shard. */
  const ordinary = new WeakMap<Uint8Array, readonly number[]>();
  const transport: ShardTransport = {
    unary: (call, signal) => {
      calls++;
      const ordinaryMs = ordinary.get(call.request)![call.shard]!;
      return replyAfter(clock, simulated.serviceMs(call, clock.monotonic(), ordinaryMs, service), call, signal);
    },
    stream: () => Promise.reject(new Error("no stream here")),
    greet: () => Promise.resolve(undefined),
    keep() {},
    close() {},
  };
  const asker = shardAsker({
    transport,
    clock,
    randomness: seeded(simulated.seed + 2),
    policy: simulated.policy ?? SCATTER_POLICY,
    *comparable(_plan, _asked, { message }) {
      yield;
      return message;
    },
  });
  const replicas = Array.from({ length: SHARDS }, (_, shard) =>
    ["a", "b"].map((node) => ({ node: `${node}${shard}`, address: `${node}${shard}:1` })),
  );
  const took: number[] = [];
  let faults = 0;
  const ask = async () => {
    const startedAt = clock.monotonic();
    const query = new AbortController();
    const request = new Uint8Array();
    ordinary.set(
      request,
      replicas.map(() => service.exponential(SERVICE_MS)),
    );
    const asked = replicas.map((endpoints, shard) => {
      const deadline = startedAt + (simulated.deadlineMs ?? 10_000);
      return askShard(asker, { ...question(shard, endpoints, deadline), request }, query.signal);
    });
    try {
      await Promise.all(asked);
      took.push(clock.monotonic() - startedAt);
    } catch {
      faults++;
      query.abort();
    }
  };
  let left = simulated.queries;
  const arrive = () => {
    void ask();
    if (--left > 0) clock.after(arrivals.exponential(1000 / simulated.queriesPerSecond), arrive);
  };
  clock.after(0, arrive);
  await clock.run();
  took.sort((a, b) => a - b);
  const quantile = (share: number) => took[Math.min(took.length - 1, Math.floor(took.length * share))] ?? 0;
  const questions = simulated.queries * SHARDS;
  return {
    p50: quantile(0.5),
    p99: quantile(0.99),
    p999: quantile(0.999),
    extraShare: calls / questions - 1,
    faults,
  };
}

function replyAfter(clock: VirtualClock, ms: number, call: ShardCall, signal: AbortSignal): Promise<ShardReply> {
  return new Promise((resolve, reject) => {
    const cancel = clock.after(ms, () => {
      resolve({ stamp: stampOf(call), message: MESSAGE, bounds: undefined });
    });
    const stop = (reason: unknown) => {
      cancel();
      reject(reason);
    };
    call.under = { cancelled: stop };
    signal.addEventListener("abort", () => stop(signal.reason));
  });
}

const stampOf = ({ shard, snapshot, version }: ShardCall) => ({
  shard,
  snapshot,
  stateDigest: "d",
  serviceVersion: version,
});

function question(shard: number, replicas: ShardQuestion["replicas"], deadline: number): ShardQuestion {
  return {
    expected: { shard, snapshot: "s1", stateDigest: "d", serviceVersion: "v1" },
    replicas,
    path: "/p.S/M",
    converse: false,
    request: MESSAGE,
    deadline,
    traceparent: undefined,
    plan: { deterministic: true } as ShardQuestion["plan"],
    asked: {} as ShardQuestion["asked"],
  };
}
