import assert from "node:assert";
import type { Message } from "@bufbuild/protobuf";
import type { MethodPlan } from "../../merge-plan/method-plan.ts";
import type { MergeExecution, MergeLimits } from "./merge-execution.ts";
import { singleRound } from "./single-round.ts";
import { TopMerge } from "./top-merge.ts";

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
  assert(merge.kind === "message", `${plan.method.name} streams rows: merge them with mergeSortedRows`);
  if (merge.top === undefined) return singleRound(plan, merge.recipe, request, shards, limits);
  return new TopMerge(plan, { recipe: merge.recipe, top: merge.top }, request, shards, limits);
}
