/** Every shard is asked once; its partial is decoded into columns, merged as it comes, and not kept. */
import type { Message } from "@bufbuild/protobuf";
import { type Slices, unsliced } from "../../../accumulator/sliced-sort.ts";
import type { Window } from "../../../accumulator/sorted.ts";
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

export class CompiledRound implements MergeExecution {
  readonly acceptsColumns = true;
  readonly #plan: MethodPlan;
  readonly #compiled: CompiledMerge;
  readonly #request: Message;
  readonly #shards: readonly number[];
  readonly #window: Window;
  readonly #table: GroupTable;
  readonly #pending = new PendingRequests<"partial">();
  /** Batches are used again: partials of one method are of a size. */
  readonly #free: Batch[] = [];

  constructor(
    plan: MethodPlan,
    compiled: CompiledMerge,
    request: Message,
    shards: readonly number[],
    limits: MergeLimits,
  ) {
    this.#plan = plan;
    this.#compiled = compiled;
    this.#request = request;
    this.#shards = shards;
    this.#window = requestWindow(plan, request);
    this.#table = new GroupTable(compiled.layout, { window: this.#window, budget: memoryBudget(limits) });
    this.#table.addRow();
  }

  begin(): readonly ShardRequest[] {
    const request = rewriteRequest(this.#plan, this.#request, { limit: rowsForWindow(this.#window) });
    return this.#pending.open(
      new Map(this.#shards.map((shard): [ShardRequest, "partial"] => [{ shard, request }, "partial"])),
    );
  }

  accept(partial: Partial): void {
    unsliced(this.acceptSlices(partial));
  }

  *acceptSlices(partial: Partial): Slices<void> {
    if (!this.#pending.isWanted(partial)) return;
    const batch = this.#free.pop() ?? this.#compiled.batches.take();
    yield* decodeInto(batch, partial, this.#compiled.decoder);
    this.#pending.take(partial);
    try {
      yield* blaming(partial.shard, this.#table.merge(batch, ROOT, partial.shard));
    } catch (error) {
      this.#pending.fail(partial.shard, error);
      throw error;
    }
    if (batch.isLarge) return;
    batch.clear();
    this.#free.push(batch);
  }

  exclude(shard: number): void {
    this.#pending.excludeUnmerged(shard);
  }

  next(): readonly ShardRequest[] {
    return [];
  }

  // biome-ignore lint/correctness/useYield: there is nothing to pause for
  *nextSlices(): Slices<readonly ShardRequest[]> {
    return [];
  }

  finish(): AnswerPieces {
    return unsliced(this.finishSlices());
  }

  *finishSlices(): Slices<AnswerPieces> {
    this.#pending.assertNone();
    for (const batch of this.#free.splice(0)) this.#compiled.batches.give(batch);
    return yield* this.#compiled.writer.write(yield* OrderedTable.of(this.#table, this.#window));
  }
}
