import assert from "node:assert";
import type { Message } from "@bufbuild/protobuf";
import type { MethodPlan } from "../../merge-plan/method-plan.ts";
import type { MergeExecution, MergeLimits } from "./merge-execution.ts";
import { singleRound } from "./single-round.ts";
import { TopMerge } from "./top-merge.ts";

/** The same merge by message objects and recipes: the oracle of the compiled one, and for what that does not read. */
export function interpretedMerge(
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
