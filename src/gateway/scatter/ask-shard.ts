import { Fault } from "../../fault/fault.ts";
import { faultFromUnknown } from "../../fault/fault-from-unknown.ts";
import { type Stamp, stampDifference } from "../../mesh/stamp.ts";
import { type Clock, sleep } from "../../process/clock.ts";
import { step } from "../../telemetry/step-channel.ts";
import { outgoingTraceparent } from "../../telemetry/trace-context.ts";
import type { PlacementEndpoint } from "../table/routing-state.ts";
import { chooseReplica, type ReplicaLoad } from "./replica-choice.ts";
import type { ShardCall, ShardReply, ShardStream, ShardTransport, TransportKind } from "./shard-transport.ts";

/** Long enough for a connection to be opened anew, short beside any deadline. */
const RETRY_AFTER_MS = 20;

export interface ShardQuestion {
  readonly expected: Stamp;
  readonly replicas: readonly PlacementEndpoint[];
  /** `/package.Service/Method`. */
  readonly path: string;
  /** The version speaks ShardService.Converse. */
  readonly converse: boolean;
  readonly request: Uint8Array;
  /** In the clock's monotonic time: when the shard must have answered. */
  readonly deadline: number;
  readonly traceparent: string | undefined;
}

export interface ShardAsker {
  readonly transport: ShardTransport;
  readonly load: ReplicaLoad;
  readonly clock: Clock;
}

/**
 * Asks one shard and vouches for the answer: its stamp is the one expected, or it is a fault. Asked once more, at
 * another replica where there is one, when the first try says nothing about the request: connection lost, snapshot not
 * bound there (yet), stamp of something else. What is returned is one answer of one try, so whatever is retried, a
 * shard enters a merge once.
 */
export function askShard(asker: ShardAsker, question: ShardQuestion, signal: AbortSignal): Promise<ShardReply> {
  return withRetry(asker, question, signal, (call) => asker.transport.unary(call, signal));
}

/** The same for a stream, up to its stamp. What breaks after that is not retried: rows may have been merged. */
export function openShardStream(asker: ShardAsker, question: ShardQuestion, signal: AbortSignal): Promise<ShardStream> {
  return withRetry(asker, question, signal, async (call) => {
    // The call belongs to this try: a stream with a wrong stamp must be cancelled although the query goes on.
    const own = new AbortController();
    const stream = await asker.transport.stream(call, AbortSignal.any([signal, own.signal]));
    if (stampFault(question.expected, stream.stamp, call) !== undefined) {
      own.abort(new DOMException("wrong stamp", "AbortError"));
    }
    return stream;
  });
}

interface Vouched {
  readonly stamp: Stamp | undefined;
  readonly transport?: TransportKind;
}

async function withRetry<R extends Vouched>(
  asker: ShardAsker,
  question: ShardQuestion,
  signal: AbortSignal,
  ask: (call: ShardCall) => Promise<R>,
): Promise<R> {
  const { clock, load } = asker;
  let failed: PlacementEndpoint | undefined;
  for (let attempt = 1; ; attempt++) {
    const shard = question.expected.shard;
    const replica = chooseReplica(question.replicas, load, load.nextTurn(shard), failed);
    if (replica === undefined)
      throw new Fault("shard-unavailable", `ask shard ${shard}: it has no placement`, { shard });
    try {
      return await askOnce(asker, question, replica, attempt, ask);
    } catch (error) {
      const fault = faultFromUnknown(error, `ask shard ${shard}`);
      const timeLeft = question.deadline - clock.monotonic() > 2 * RETRY_AFTER_MS;
      if (attempt > 1 || signal.aborted || !timeLeft || !isWorthRetrying(fault)) throw fault;
      failed = replica;
      if (question.replicas.length === 1) await sleep(clock, RETRY_AFTER_MS, signal);
    }
  }
}

function askOnce<R extends Vouched>(
  asker: ShardAsker,
  question: ShardQuestion,
  replica: PlacementEndpoint,
  attempt: number,
  ask: (call: ShardCall) => Promise<R>,
): Promise<R> {
  const { shard, snapshot, serviceVersion } = question.expected;
  const facts = { shard, node: replica.node, version: serviceVersion, attempt, path: question.path };
  return step("gateway", "shard call", facts, async (event) => {
    const call: ShardCall = {
      address: replica.address,
      node: replica.node,
      version: serviceVersion,
      converse: question.converse,
      expected: question.expected,
      shard,
      snapshot,
      path: question.path,
      request: question.request,
      timeoutMs: question.deadline - asker.clock.monotonic(),
      traceparent: outgoingTraceparent() ?? question.traceparent,
    };
    if (call.timeoutMs <= 0) {
      throw new Fault("deadline-exceeded", `ask shard ${shard}: no time left`, { shard });
    }
    const done = asker.load.begin(replica);
    try {
      const reply = await ask(call);
      if (reply.transport !== undefined) event.facts.transport = reply.transport;
      const fault = stampFault(question.expected, reply.stamp, call);
      if (fault === undefined) return reply;
      throw fault;
    } catch (error) {
      const fault = faultFromUnknown(error, `ask shard ${shard}`);
      event.facts.fault = fault.id;
      // Told by the stamp, or by a process that the call was not meant for.
      if (fault.id === "stamp-mismatch") event.facts.mismatch = true;
      throw fault;
    } finally {
      done();
    }
  });
}

/** The guard of "never mixed": routes may be wrong, caches stale, processes confused; the stamp tells. */
function stampFault(expected: Stamp, actual: Stamp | undefined, call: ShardCall): Fault | undefined {
  const difference = actual === undefined ? "it sent no stamp" : stampDifference(expected, actual);
  if (difference === undefined) return undefined;
  const shard = expected.shard;
  return new Fault("stamp-mismatch", `ask shard ${shard} on ${call.node}: ${difference}`, {
    shard,
    reason: "STAMP_MISMATCH",
  });
}

function isWorthRetrying(fault: Fault): boolean {
  switch (fault.id) {
    case "shard-unavailable":
    case "snapshot-not-bound":
    case "stamp-mismatch":
    case "not-ready":
      return true;
    default:
      return false;
  }
}
