import assert from "node:assert";
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { Fault } from "../fault/fault.ts";
import { faultFromUnknown } from "../fault/fault-from-unknown.ts";
import { inSlices } from "../process/turn.ts";
import { type TopBounds, TopBoundsSchema } from "../wire/generated/skynetes/v1/stamp_pb.ts";
import type { MergeExecution } from "./merge/merge-execution.ts";
import type { ShardRequest } from "./plan/shard-request.ts";
import type { OpenQuery } from "./query/open-query.ts";
import { askShard } from "./scatter/ask-shard.ts";
import type { ShardAsker } from "./scatter/shard-asker.ts";
import type { ShardQuestion } from "./scatter/shard-question.ts";

export interface RoundParts {
  readonly asker: ShardAsker;
  readonly groupBytesMax: number;
}

/**
 * All requests of a round at once. The first fault that the answer cannot do without rejects, which ends the query, which
 * stops the others.
 */
export async function askRound(
  parts: RoundParts,
  open: OpenQuery,
  merge: MergeExecution,
  requests: readonly ShardRequest[],
  gathered: { bytes: number },
): Promise<void> {
  const settled = new Set<number>();
  const answered = new Set<ShardRequest>();

  const ask = async (request: ShardRequest) => {
    const { shard } = request;
    try {
      const reply = await askShard(parts.asker, shardQuestion(open, request), open.signal);
      open.throwIfStopped();
      if (open.missing.has(shard)) return;
      gathered.bytes += reply.message.length;
      if (gathered.bytes > parts.groupBytesMax) {
        const text = `answer query: the shards' partials exceed ${parts.groupBytesMax} bytes`;
        throw new Fault("answer-too-large", text);
      }
      assert(!answered.has(request), "a shard enters a merge once");
      answered.add(request);
      open.hold(reply.message.length);
      const bounds = decodeBounds(shard, reply.bounds);
      const partial = { shard, request, message: reply.message, bounds };
      await inSlices(merge.acceptSlices(partial), parts.asker.clock, open.signal);
      // What is kept of it the merge has counted.
      open.release(reply.message.length);
      settled.add(shard);
      open.entry.answered = Math.max(open.entry.answered, settled.size);
    } catch (error) {
      const fault = faultFromUnknown(error, `ask shard ${shard}`);
      if (open.missing.has(shard)) return;
      open.giveUpShard(shard, fault);
      merge.exclude(shard);
    }
  };
  await Promise.all(requests.map(ask));
}

export function shardQuestion(open: OpenQuery, { shard, request }: ShardRequest): ShardQuestion {
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
    path: `/${version.service}/${plan.method.name}`,
    request: toBinary(plan.method.input, request),
    deadline: open.shardDeadline,
    traceparent: open.query.intent.traceparent,
    plan,
    asked: request,
  };
}

function decodeBounds(shard: number, bytes: Uint8Array | undefined): TopBounds | undefined {
  if (bytes === undefined) return undefined;
  try {
    return fromBinary(TopBoundsSchema, bytes);
  } catch (error) {
    throw new Fault("bad-partial", `read bounds of shard ${shard}: ${(error as Error).message}`, { shard }, error);
  }
}
