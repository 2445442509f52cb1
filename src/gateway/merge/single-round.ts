import type { Message } from "@bufbuild/protobuf";
import { type Slices, unsliced } from "../../accumulator/sliced-sort.ts";
import type { MessageRecipe, MethodPlan } from "../../merge-plan/method-plan.ts";
import { requestWindow, rowsForWindow } from "../../merge-plan/request-window.ts";
import { rewriteRequest } from "../plan/rewrite-request.ts";
import type { ShardRequest } from "../plan/shard-request.ts";
import { blaming } from "./bad-partial.ts";
import { memoryBudget } from "./held-bytes.ts";
import type { MergeExecution, MergeLimits, Partial } from "./merge-execution.ts";
import { messageAccumulator } from "./message-accumulator.ts";
import { PendingRequests } from "./pending-requests.ts";

/** Every shard is asked once and its partial is merged as it comes; the partials themselves are not kept. */
export function singleRound(
  plan: MethodPlan,
  recipe: MessageRecipe,
  request: Message,
  shards: readonly number[],
  limits: MergeLimits,
): MergeExecution {
  const window = requestWindow(plan, request);
  const accumulator = messageAccumulator(recipe, { window, budget: memoryBudget(limits) });
  const pending = new PendingRequests<"partial">();
  const state = accumulator.empty();

  function* acceptSlices(partial: Partial): Slices<void> {
    if (pending.take(partial) === undefined) return;
    try {
      yield* blaming(partial.shard, accumulator.addSlices(state, partial.message, partial.shard));
    } catch (error) {
      pending.fail(partial.shard, error);
      throw error;
    }
  }
  function* finishSlices(): Slices<Message> {
    pending.assertNone();
    return yield* accumulator.finishSlices(state);
  }
  return {
    begin() {
      const asked = rewriteRequest(plan, request, { limit: rowsForWindow(window) });
      return pending.open(
        new Map(shards.map((shard): [ShardRequest, "partial"] => [{ shard, request: asked }, "partial"])),
      );
    },
    accept: (partial) => unsliced(acceptSlices(partial)),
    acceptSlices,
    exclude: (shard) => pending.excludeUnmerged(shard),
    next: () => [],
    // biome-ignore lint/correctness/useYield: there is nothing to pause for
    *nextSlices() {
      return [];
    },
    finish: () => unsliced(finishSlices()),
    finishSlices,
  };
}
