import type { Fault } from "../../fault/fault.ts";
import { faultFromUnknown } from "../../fault/fault-from-unknown.ts";
import { ShardAsk, type Way } from "./shard-ask.ts";
import type { ShardAsker, Stoppable } from "./shard-asker.ts";
import type { CallStory, ShardQuestion } from "./shard-question.ts";
import type { ShardReply, ShardStream } from "./shard-transport.ts";

const UNARY: Way<ShardReply> = {
  send: (transport, call, signal) => transport.unary(call, signal),
  taken: (audit, question, placement, reply) => audit.consider(question, placement, reply),
};

const STREAM: Way<ShardStream> = {
  send: (transport, call, signal) => transport.stream(call, signal),
  taken: () => {},
};

/**
 * Asks one shard and vouches for the answer: its stamp is the one expected, or it is a fault. Asked again, at another
 * replica where there is one, when a try says nothing about the request: connection lost, snapshot not bound there (yet),
 * stamp of something else; and beside one that is overdue. What is returned is one answer of one try, so whatever is
 * retried or hedged, a shard enters a merge once.
 */
export function askShard(
  asker: ShardAsker,
  question: ShardQuestion,
  signal: AbortSignal,
): Promise<ShardReply & { readonly call: CallStory }> {
  if (signal.aborted) return Promise.reject(endedBefore(question, signal));
  return new ShardAsk(asker, question, UNARY, underWayOf(asker, signal), signal).start();
}

/** The same for a stream, up to its stamp. What breaks after that is not retried: rows may have been merged. */
export function openShardStream(
  asker: ShardAsker,
  question: ShardQuestion,
  signal: AbortSignal,
): Promise<ShardStream & { readonly call: CallStory }> {
  if (signal.aborted) return Promise.reject(endedBefore(question, signal));
  return new ShardAsk(asker, question, STREAM, underWayOf(asker, signal), signal).start();
}

function underWayOf({ underWay }: ShardAsker, signal: AbortSignal): Set<Stoppable> {
  const known = underWay.get(signal);
  if (known !== undefined) return known;
  const made = new Set<Stoppable>();
  underWay.set(signal, made);
  const stopAll = () => {
    for (const one of made) one.stop(signal.reason);
  };
  signal.addEventListener("abort", stopAll, { once: true });
  return made;
}

function endedBefore({ expected }: ShardQuestion, signal: AbortSignal): Fault {
  return faultFromUnknown(signal.reason, `ask shard ${expected.shard}`);
}
