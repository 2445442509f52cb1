import type { Fault } from "../../../src/fault/fault.ts";
import { SCATTER_POLICY, type ScatterPolicy } from "../../../src/gateway/scatter/scatter-policy.ts";
import { type ShardAsker, shardAsker } from "../../../src/gateway/scatter/shard-asker.ts";
import type { ShardQuestion } from "../../../src/gateway/scatter/shard-question.ts";
import type {
  ShardCall,
  ShardReply,
  ShardStream,
  ShardTransport,
} from "../../../src/gateway/scatter/shard-transport.ts";
import type { Stamp } from "../../../src/mesh/stamp.ts";
import { seeded, VirtualClock } from "../../process/virtual-clock.ts";

/** One call that the transport was given; the test says how it ends. */
export interface GivenCall extends ShardCall {
  /** Alone, or with its query. */
  readonly isCancelled: boolean;
  /** With the right stamp unless another is given. */
  reply(stamp?: Stamp | undefined): void;
  fail(fault: Fault): void;
}

export const stampOf = ({ shard, snapshot, version }: ShardCall): Stamp => ({
  shard,
  snapshot,
  stateDigest: "d",
  serviceVersion: version,
});

/** Keeps every call until the test answers it. Like real ones, it rejects what is cancelled, unless it is told not to. */
export class ScriptedTransport implements ShardTransport {
  readonly calls: GivenCall[] = [];
  readonly onCall: (call: GivenCall) => void;
  readonly heedsCancel: boolean;

  constructor(onCall: (call: GivenCall) => void = () => {}, heedsCancel = true) {
    this.onCall = onCall;
    this.heedsCancel = heedsCancel;
  }

  unary(call: ShardCall, signal: AbortSignal): Promise<ShardReply> {
    const message = Buffer.from(`${call.shard}`);
    return this.#give(call, signal, (stamp) => ({ stamp, message, bounds: undefined }));
  }

  stream(call: ShardCall, signal: AbortSignal): Promise<ShardStream> {
    return this.#give(call, signal, (stamp) => ({ stamp, messages: (async function* () {})() }));
  }

  greet(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  keep(): void {}
  close(): void {}

  #give<R>(call: ShardCall, signal: AbortSignal, made: (stamp: Stamp | undefined) => R): Promise<R> {
    return new Promise((resolve, reject) => {
      let isBeaten = false;
      call.under = {
        cancelled: (reason) => {
          isBeaten = true;
          if (this.heedsCancel) reject(reason);
        },
      };
      const given: GivenCall = {
        ...call,
        get isCancelled() {
          return isBeaten || signal.aborted;
        },
        reply: (...stamp) => resolve(made(stamp.length === 0 ? stampOf(call) : stamp[0])),
        fail: reject,
      };
      this.calls.push(given);
      if (this.heedsCancel) signal.addEventListener("abort", () => reject(signal.reason), { once: true });
      this.onCall(given);
    });
  }
}

export interface Bench {
  readonly clock: VirtualClock;
  readonly transport: ScriptedTransport;
  readonly asker: ShardAsker;
}

export function scriptedAsker(transport: ScriptedTransport, change: Partial<ScatterPolicy> = {}): Bench {
  const clock = new VirtualClock();
  const policy = { ...SCATTER_POLICY, audit: { ...SCATTER_POLICY.audit, share: 0 }, ...change };
  function* comparable() {
    yield;
    return undefined;
  }
  return { clock, transport, asker: shardAsker({ transport, clock, randomness: seeded(1), policy, comparable }) };
}

const placements = new Map<string, ShardQuestion["replicas"]>();

/** Of a shard with so many placements, `a`, `b` and so on. */
export function questionOf(
  bench: Bench,
  change: Partial<ShardQuestion> & { replicaCount?: number } = {},
): ShardQuestion {
  const { replicaCount = 2, ...rest } = change;
  const shard = change.expected?.shard ?? 0;
  const key = `${shard} ${replicaCount}`;
  const nodes = ["a", "b", "c", "d"].slice(0, replicaCount);
  const replicas = placements.get(key) ?? nodes.map((node) => ({ node, address: `${node}${shard}:1` }));
  placements.set(key, replicas);
  return {
    expected: { shard, snapshot: "s1", stateDigest: "d", serviceVersion: "v1" },
    replicas,
    path: "/p.S/M",
    converse: false,
    request: new Uint8Array(),
    deadline: bench.clock.monotonic() + 10_000,
    traceparent: undefined,
    plan: { deterministic: true } as ShardQuestion["plan"],
    asked: {} as ShardQuestion["asked"],
    ...rest,
  };
}
