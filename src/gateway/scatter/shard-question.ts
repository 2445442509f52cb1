import type { Message } from "@bufbuild/protobuf";
import type { MethodPlan } from "../../merge-plan/method-plan.ts";
import type { Stamp } from "../../mesh/stamp.ts";
import type { PartialFormat } from "../../wire/generated/skynetes/v1/shard_pb.ts";
import type { PlacementEndpoint } from "../table/routing-state.ts";
import type { ReceiveMemory, ShardCall } from "./shard-transport.ts";

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
  /** Hedged and audited only where its shards answer deterministically. */
  readonly plan: MethodPlan;
  /** What `request` says. */
  readonly asked: Message;
  /** What is received for it is held against this. */
  readonly memory?: ReceiveMemory | undefined;
  /** What can be merged besides the method's response message. */
  readonly accept?: PartialFormat | undefined;
}

/** To one of its replicas. */
export function callOf(
  question: ShardQuestion,
  { node, address }: PlacementEndpoint,
  timeoutMs: number,
  traceparent: string | undefined,
): ShardCall {
  const { expected, converse, path, request, accept, memory } = question;
  const { shard, snapshot, serviceVersion: version } = expected;
  const under = undefined;
  return {
    address,
    node,
    version,
    converse,
    expected,
    shard,
    snapshot,
    path,
    request,
    timeoutMs,
    traceparent,
    accept,
    memory,
    under,
  };
}

/**
 * Why a call was made: `hedge` beside one that is overdue, `retry` after a fault, `failover` after the way to a placement
 * was lost under many calls.
 */
export type AskKind = "first" | "hedge" | "retry" | "failover";

/** How the one reply of a question came about. Times in milliseconds. */
export interface CallStory {
  /** That answered. */
  readonly node: string;
  readonly wonBy: AskKind;
  readonly attempts: number;
  readonly hedged: boolean;
  /** Until a placement had room. */
  readonly queuedMs: number;
  /** The call that was taken. */
  readonly tookMs: number;
  /** From the question to its answer. */
  readonly totalMs: number;
}
