import type { Message } from "@bufbuild/protobuf";
import type { MethodPlan } from "../merge-plan/method-plan.ts";
import { canonicalBytes } from "../wire/canonical-message.ts";
import type { PartialFormat } from "../wire/generated/skynetes/v1/shard_pb.ts";
import type { ShardRequest } from "./plan/shard-request.ts";
import type { Gathering } from "./query/gathering.ts";
import type { ShardQuestion } from "./scatter/shard-question.ts";

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
