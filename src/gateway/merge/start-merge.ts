import type { Message } from "@bufbuild/protobuf";
import type { MethodPlan } from "../../merge-plan/method-plan.ts";
import { compileMerge } from "./compiled/compile-merge.ts";
import { CompiledRound } from "./compiled/compiled-round.ts";
import { CompiledTop } from "./compiled/compiled-top.ts";
import { interpretedMerge } from "./interpreted-merge.ts";
import type { MergeExecution, MergeLimits } from "./merge-execution.ts";

/**
 * Begins the merge of a unary method. `request` is the client's own: the merge rewrites it for the shards. `shards` are
 * those that take part; with none the answer is that over no rows. Faults: `invalid-request`, as `shardRequest`.
 */
export function startMerge(
  plan: MethodPlan,
  request: Message,
  shards: readonly number[],
  limits: MergeLimits,
): MergeExecution {
  const { merge } = plan;
  const compiled = merge.kind === "message" ? compileMerge(merge.recipe) : undefined;
  if (merge.kind !== "message" || compiled === undefined) return interpretedMerge(plan, request, shards, limits);
  if (merge.top === undefined) return new CompiledRound(plan, compiled, request, shards, limits);
  return new CompiledTop(plan, compiled, merge.top, request, shards, limits);
}
