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
 * What the merge will read of a request can be read, so nothing is scattered for one that cannot.
 * Faults: `invalid-request` with a JSON pointer for a negative limit or offset and for an order that does not exist.
 */
export function checkRequest(plan: MethodPlan, request: Message): void {
  requestWindow(plan, request);
  if (plan.merge.kind === "message" && plan.merge.top !== undefined) requestOrder(plan, plan.merge.top, request);
}

/**
 * The request as a shard is asked at first, with LIMIT and OFFSET rewritten: for streaming methods it is the whole
 * question, unary methods start from it in `startMerge`. Faults: those of `checkRequest`.
 */
export function shardRequest(plan: MethodPlan, request: Message): Message {
  checkRequest(plan, request);
  return rewriteRequest(plan, request, { limit: rowsForWindow(requestWindow(plan, request)) });
}
