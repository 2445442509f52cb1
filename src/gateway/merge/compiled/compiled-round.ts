/** Every shard is asked once; its partial is decoded into columns, merged as it comes, and not kept. */
import type { Message } from "@bufbuild/protobuf";
import { type Slices, unsliced } from "../../../accumulator/sliced-sort.ts";
import type { MethodPlan } from "../../../merge-plan/method-plan.ts";
import { requestWindow, rowsForWindow } from "../../../merge-plan/request-window.ts";
import { rewriteRequest } from "../../plan/rewrite-request.ts";
import type { ShardRequest } from "../../plan/shard-request.ts";
import { blaming } from "../bad-partial.ts";
import { memoryBudget } from "../held-bytes.ts";
import type { AnswerPieces, MergeExecution, MergeLimits, Partial } from "../merge-execution.ts";
import { PendingRequests } from "../pending-requests.ts";
import type { Batch } from "./batch.ts";
import type { CompiledMerge } from "./compile-merge.ts";
import { decodeInto } from "./decode-into.ts";
import { GroupTable } from "./group-table.ts";
import { OrderedTable } from "./ordered-table.ts";

const ROOT = Int32Array.of(0);

export function compiledRound(
  plan: MethodPlan,
  { layout, decoder, writer, batches }: CompiledMerge,
  request: Message,
  shards: readonly number[],
  limits: MergeLimits,
): MergeExecution {
  const window = requestWindow(plan, request);
  const table = new GroupTable(layout, { window, budget: memoryBudget(limits) });
  table.addRow();
  const pending = new PendingRequests<"partial">();
  /** Batches are used again: partials of one method are of a size. */
  const free: Batch[] = [];

  function* acceptSlices(partial: Partial): Slices<void> {
    if (!pending.isWanted(partial)) return;
    const batch = free.pop() ?? batches.take();
    yield* decodeInto(batch, partial, decoder);
    pending.take(partial);
    try {
      yield* blaming(partial.shard, table.merge(batch, ROOT, partial.shard));
    } catch (error) {
      pending.fail(partial.shard, error);
      throw error;
    }
    batch.clear();
    free.push(batch);
  }
  function* finishSlices(): Slices<AnswerPieces> {
    pending.assertNone();
    for (const batch of free.splice(0)) batches.give(batch);
    return yield* writer.write(yield* OrderedTable.of(table, window));
  }
  return {
    acceptsColumns: true,
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
