import assert from "node:assert";
import type { Message } from "@bufbuild/protobuf";
import { Fault } from "../fault/fault.ts";
import { faultFromUnknown } from "../fault/fault-from-unknown.ts";
import type { MethodPlan } from "../merge-plan/method-plan.ts";
import type { Clock } from "../process/clock.ts";
import { nextTurn } from "../process/turn.ts";
import { canonicalBytes } from "../wire/canonical-message.ts";
import { PartialFormat } from "../wire/generated/skynetes/v1/shard_pb.ts";
import type { TopBounds } from "../wire/generated/skynetes/v1/stamp_pb.ts";
import { readTopBounds } from "../wire/top-bounds.ts";
import type { QueryPartials } from "./cache/query-partials.ts";
import type { MergeRun } from "./merge-threads/merge-run.ts";
import type { ShardRequest } from "./plan/shard-request.ts";
import type { Gathering } from "./query/gathering.ts";
import { askShard } from "./scatter/ask-shard.ts";
import type { ShardAsker } from "./scatter/shard-asker.ts";
import type { ShardQuestion } from "./scatter/shard-question.ts";
import type { ShardReply } from "./scatter/shard-transport.ts";

/** Kept partials are merged for so long before the event loop has its turn: nothing else paces them. */
const TURN_MS = 1;

export interface RoundParts {
  readonly asker: ShardAsker;
  readonly groupBytesMax: number;
  /** Partials that are kept from before, and where to keep those that come. */
  readonly partials?: QueryPartials | undefined;
}

/**
 * All requests of a round at once, but for those whose partials are kept from before. The first fault that the answer
 * cannot do without rejects, which ends the query, which stops the others.
 */
export async function askRound(
  parts: RoundParts,
  open: Gathering,
  merge: MergeRun,
  requests: readonly ShardRequest[],
  gathered: { bytes: number },
): Promise<void> {
  const settled = new Set<number>();
  const answered = new Set<ShardRequest>();

  const ask = async (request: ShardRequest, question: ShardQuestion, kept?: ShardReply) => {
    const { shard } = request;
    const visit = open.query.profile?.visit(shard);
    try {
      const reply = kept ?? (await askShard(parts.asker, question, open.signal));
      if (kept !== undefined) visit?.cached();
      visit?.answered(reply);
      open.throwIfStopped();
      if (open.missing.has(shard)) return;
      gathered.bytes += reply.message.length;
      if (gathered.bytes > parts.groupBytesMax) {
        const text = `answer query: the shards' partials exceed ${parts.groupBytesMax} bytes`;
        throw new Fault("answer-too-large", text);
      }
      assert(!answered.has(request), "a shard enters a merge once");
      answered.add(request);
      const { length } = reply.message;
      // Held already, with what more might have come.
      if (reply.held !== undefined) open.release(reply.held);
      open.hold(length);
      const bounds = decodeBounds(shard, reply.bounds);
      const partial = { shard, request, message: reply.message, format: formatOf(reply, question), bounds };
      const isGiven = reply.isOwn === true && kept === undefined && parts.partials?.mayKeep(question, reply) !== true;
      const merging = merge.accept(partial, isGiven);
      if (merging !== undefined) await merging;
      visit?.merged();
      // What is kept of it the merge has counted.
      open.release(length);
      if (kept === undefined && !isGiven) parts.partials?.keep(question, reply);
      settled.add(shard);
      open.shardsAnswered(settled.size);
    } catch (error) {
      if (kept !== undefined) parts.partials?.drop(shard);
      const fault = faultFromUnknown(error, `ask shard ${shard}`);
      visit?.failed(fault);
      if (open.missing.has(shard)) return;
      open.giveUpShard(shard, fault);
      const excluding = merge.exclude(shard);
      if (excluding !== undefined) await excluding;
    }
  };

  const kept: (() => Promise<void>)[] = [];
  const asked: (() => Promise<void>)[] = [];
  const encode = requestEncoder(open);
  for (const request of requests) {
    const question = shardQuestion(open, request, encode, merge.acceptsColumns ? PartialFormat.COLUMNS : undefined);
    const reply = parts.partials?.find(question);
    (reply === undefined ? asked : kept).push(() => ask(request, question, reply));
  }
  // Shards first: they work while what is kept is merged.
  const asking = asked.map((work) => work());
  if (kept.length > 0) asking.push(oneByOne(kept, parts.asker.clock, open.signal));
  await Promise.all(asking);
}

async function oneByOne(works: readonly (() => Promise<void>)[], clock: Clock, signal: AbortSignal): Promise<void> {
  let until = clock.monotonic() + TURN_MS;
  for (const work of works) {
    await work();
    if (clock.monotonic() < until) continue;
    await nextTurn(signal);
    until = clock.monotonic() + TURN_MS;
  }
}

/** The requests of a round, each written once: shards are sent the same few. */
export function requestEncoder({ query }: Gathering): (request: Message) => Uint8Array {
  const { input } = query.resolved.plan.method;
  const written = new Map<Message, Uint8Array>();
  return (request) => {
    const bytes = written.get(request) ?? canonicalBytes(input, request);
    written.set(request, bytes);
    return bytes;
  };
}

export function shardQuestion(
  open: Gathering,
  { shard, request }: ShardRequest,
  encode: (request: Message) => Uint8Array,
  accept?: PartialFormat,
): ShardQuestion {
  const { state, snapshot, version, plan } = open.query.resolved;
  return {
    expected: {
      shard,
      snapshot: snapshot.id,
      stateDigest: snapshot.shardSeals.get(shard)?.stateDigest ?? "",
      serviceVersion: version.name,
    },
    replicas: state.endpoints.get(version.name)?.get(shard) ?? [],
    converse: version.converse,
    path: pathOf(version.service, plan),
    request: encode(request),
    deadline: open.shardDeadline,
    traceparent: open.query.intent.traceparent,
    plan,
    asked: request,
    memory: open,
    accept,
  };
}

/** By plan, which belongs to one service version. One string for all calls: maps that it is looked up in hash it once. */
const paths = new WeakMap<MethodPlan, string>();

function pathOf(service: string, plan: MethodPlan): string {
  let path = paths.get(plan);
  if (path === undefined) {
    path = `/${service}/${plan.method.name}`;
    paths.set(plan, path);
  }
  return path;
}

/** Faults: `bad-partial` for a format that was not asked for. */
function formatOf({ format }: ShardReply, { accept, expected: { shard } }: ShardQuestion): "message" | "columns" {
  if (format === undefined || format === PartialFormat.UNSPECIFIED) return "message";
  if (format === PartialFormat.COLUMNS && accept === format) return "columns";
  throw new Fault("bad-partial", `read partial of shard ${shard}: format ${format} was not asked for`, { shard });
}

function decodeBounds(shard: number, bytes: Uint8Array | undefined): TopBounds | undefined {
  if (bytes === undefined) return undefined;
  try {
    return readTopBounds(bytes);
  } catch (error) {
    throw new Fault("bad-partial", `read bounds of shard ${shard}: ${(error as Error).message}`, { shard }, error);
  }
}
