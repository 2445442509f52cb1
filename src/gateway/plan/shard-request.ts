import type { Message } from "@bufbuild/protobuf";
import type { MethodPlan } from "../../merge-plan/method-plan.ts";
import { requestOrder, requestWindow, rowsForWindow } from "../../merge-plan/request-window.ts";
import { rewriteRequest } from "./rewrite-request.ts";

/** One call of one round: what a shard is asked. */
export interface ShardRequest {
  readonly shard: number;
  readonly request: Message;
}

/**
 * The request as a shard is asked at first, with LIMIT and OFFSET rewritten: for streaming methods it is the whole
 * question, unary methods start from it in `startMerge`. Faults: `invalid-request` with a JSON pointer for a negative
 * limit or offset and for an order that does not exist, so nothing is scattered for them.
 */
export function shardRequest(plan: MethodPlan, request: Message): Message {
  const window = requestWindow(plan, request);
  if (plan.merge.kind === "message" && plan.merge.top !== undefined) requestOrder(plan, plan.merge.top, request);
  return rewriteRequest(plan, request, { limit: rowsForWindow(window) });
}
