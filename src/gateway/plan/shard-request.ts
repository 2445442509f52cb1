import type { Message } from "@bufbuild/protobuf";
import { requestOrder, requestWindow, rewriteRequest, rowsForWindow } from "../request-window.ts";
import type { MethodPlan } from "./query-plan.ts";

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
