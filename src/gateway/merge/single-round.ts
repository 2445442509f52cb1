import type { Message } from "@bufbuild/protobuf";
import { type Slices, unsliced } from "../../accumulator/sliced-sort.ts";
import type { MessageRecipe, MethodPlan } from "../../merge-plan/method-plan.ts";
import { requestWindow, rowsForWindow } from "../../merge-plan/request-window.ts";
import { rewriteRequest } from "../plan/rewrite-request.ts";
import type { ShardRequest } from "../plan/shard-request.ts";
import { answerPieces } from "./answer-pieces.ts";
import { blaming } from "./bad-partial.ts";
import { decodePartial } from "./decode-partial.ts";
import { memoryBudget } from "./held-bytes.ts";
import type { AnswerPieces, MergeExecution, MergeLimits, Partial } from "./merge-execution.ts";
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
    if (!pending.isWanted(partial)) return;
    const message = decodePartial(recipe.message, partial);
    pending.take(partial);
    try {
      yield* blaming(partial.shard, accumulator.addSlices(state, message, partial.shard));
    } catch (error) {
      pending.fail(partial.shard, error);
      throw error;
    }
  }
  function* finishSlices(): Slices<AnswerPieces> {
    pending.assertNone();
    return yield* answerPieces(recipe.message, yield* accumulator.finishSlices(state));
  }
  return {
    acceptsColumns: false,
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
