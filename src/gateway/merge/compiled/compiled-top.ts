/**
 * Merging a response with top groups in columns: as `../top-merge.ts` does with messages, around the same search.
 *
 * While the search goes on, what shards sent is kept as the batches that it was decoded into, by shard, so that a shard
 * can still be given up. Where every shard has sent all it has in its first answer there is nothing to search.
 */
import type { Message } from "@bufbuild/protobuf";
import { type Slices, unsliced } from "../../../accumulator/sliced-sort.ts";
import type { Window } from "../../../accumulator/sorted.ts";
import type { MethodPlan, TopRecipe } from "../../../merge-plan/method-plan.ts";
import { requestedKeys, requestOrder, requestWindow, rowsForWindow } from "../../../merge-plan/request-window.ts";
import type { TopBounds } from "../../../wire/generated/skynetes/v1/stamp_pb.ts";
import { rewriteRequest } from "../../plan/rewrite-request.ts";
import type { ShardRequest } from "../../plan/shard-request.ts";
import { blamed, blaming } from "../bad-partial.ts";
import { memoryBudget } from "../held-bytes.ts";
import type { AnswerPieces, MergeExecution, MergeLimits, Partial } from "../merge-execution.ts";
import { PendingRequests } from "../pending-requests.ts";
import { compileRank, type Rank } from "../rank.ts";
import { hasNoMore, restOfShard } from "../shard-rest.ts";
import { KEYS_PER_REQUEST_MAX } from "../top-depth.ts";
import { type Rest, type TopAsk, TopSearch } from "../top-k.ts";
import type { Batch } from "./batch.ts";
import type { CompiledMerge } from "./compile-merge.ts";
import { decodeInto } from "./decode-into.ts";
import { GroupTable, type RowFilter, type RowNumbers } from "./group-table.ts";
import { type KeptBatch, KeptParts, partNumber } from "./kept-parts.ts";
import { OrderedTable } from "./ordered-table.ts";
import { type RowRank, rankRows, rowRank } from "./row-rank.ts";

const ROOT = Int32Array.of(0);
type Purpose = { readonly kind: "all" } | TopAsk<number>;

export class CompiledTop implements MergeExecution {
  readonly acceptsColumns = true;
  readonly #plan: MethodPlan;
  readonly #compiled: CompiledMerge;
  readonly #request: Message;
  readonly #window: Window;
  readonly #rank: Rank;
  readonly #orderField: string;
  readonly #shownOfRow: RowRank;
  /** What is folded from batches that are kept is held already. */
  #isHeldAlready = false;

  readonly #pending = new PendingRequests<Purpose>();
  readonly #active: Set<number>;
  readonly #table: GroupTable;
  /** Which of the response's lists has the top groups. */
  readonly #list: number;
  readonly #search: TopSearch<number> | undefined;
  readonly #parts: KeptParts;
  readonly #rest = new Map<number, Rest>();
  /** All that is kept, until the answer is made. */
  readonly #kept: Batch[] = [];
  /** By shard: what round 1 brought, for the fields beside the groups. */
  readonly #beside = new Map<number, Batch>();
  /** Groups are merged as they come: all of them travel. */
  #isAll: boolean;
  readonly #holdBytes: (bytes: number) => void;
  #isSettled = false;

  constructor(
    plan: MethodPlan,
    compiled: CompiledMerge,
    top: TopRecipe,
    request: Message,
    shards: readonly number[],
    limits: MergeLimits,
  ) {
    const order = requestOrder(plan, top, request);
    const window = requestWindow(plan, request);
    const budget = memoryBudget(limits);
    const isHeld = () => this.#isHeldAlready;
    const context = {
      window,
      budget: {
        hold: (value: unknown) => (isHeld() ? undefined : budget.hold(value)),
        holdBytes: (bytes: number) => (isHeld() ? undefined : budget.holdBytes(bytes)),
      },
    };
    const list = compiled.layout.lists.find(({ field }) => field === top.field)!;
    this.#plan = plan;
    this.#compiled = compiled;
    this.#request = request;
    this.#window = window;
    this.#rank = compileRank(top.element, order);
    this.#orderField = order.field.name;
    this.#shownOfRow = rowRank(list.layout, order);
    this.#holdBytes = budget.holdBytes;
    this.#parts = new KeptParts(top, list.layout, order, this.#rank, context);
    this.#active = new Set(shards);
    this.#table = new GroupTable(compiled.layout, context);
    this.#table.addRow();
    this.#list = list.index;
    const wanted = rowsForWindow(window);
    const isSearch = wanted !== undefined && plan.roles.keyFilter !== undefined && plan.roles.limit !== undefined;
    this.#isAll = !isSearch || requestedKeys(plan, request).length > 0;
    if (isSearch && !this.#isAll) {
      const keysPerRequestMax = limits.keysPerRequestMax ?? KEYS_PER_REQUEST_MAX;
      const range = this.#parts.range.bind(this.#parts);
      this.#search = new TopSearch({ shards, wanted, rank: this.#rank, keysPerRequestMax, range });
    }
  }

  begin(): readonly ShardRequest[] {
    if (this.#search !== undefined) return this.#ask(this.#search.begin());
    return this.#askAll([...this.#active]);
  }

  accept(partial: Partial): void {
    unsliced(this.acceptSlices(partial));
  }

  *acceptSlices(partial: Partial): Slices<void> {
    if (!this.#pending.isWanted(partial)) return;
    const { shard } = partial;
    const batch = this.#compiled.batches.take();
    yield* decodeInto(batch, partial, this.#compiled.decoder);
    // The shard may have been given up while its partial was decoded.
    const purpose = this.#pending.take(partial);
    if (purpose === undefined) return;
    try {
      if (purpose.kind !== "all") {
        // Its texts are ranges of the partial, which stays as long as the batch does.
        this.#holdBytes(partial.message.length);
        yield* this.#keep(shard, batch, purpose, partial.bounds);
      } else if (this.#search === undefined) yield* blaming(shard, this.#table.merge(batch, ROOT, shard));
      else yield* blaming(shard, this.#mergeGroups(batch.lists[this.#list]!, shard));
      if (purpose.kind === "all") this.#compiled.batches.give(batch);
      else this.#kept.push(batch);
    } catch (error) {
      this.#pending.fail(shard, error);
      throw error;
    }
  }

  exclude(shard: number): void {
    if (this.#isAll) this.#pending.excludeUnmerged(shard);
    else this.#pending.exclude(shard);
    this.#active.delete(shard);
    this.#beside.delete(shard);
    this.#search?.exclude(shard);
  }

  next(): readonly ShardRequest[] {
    return unsliced(this.nextSlices());
  }

  *nextSlices(): Slices<readonly ShardRequest[]> {
    this.#pending.assertNone();
    const search = this.#search;
    if (search === undefined || this.#isAll || this.#isSettled) return [];
    if (!this.#parts.isLearned && [...this.#active].every((shard) => this.#rest.get(shard) === "none")) {
      return yield* this.#settle();
    }
    yield* this.#parts.learn(search, (shard) => this.#rest.get(shard));
    const decision = yield* search.decide();
    if (decision.kind === "ask") return this.#ask(decision.asks);
    if (decision.kind === "all") return yield* this.#fallBackToAll(search);
    const current = new Set<number>();
    for (const { parts } of decision.groups)
      for (const part of parts.values()) if (part !== undefined) current.add(part);
    return yield* this.#settle((part) => current.has(part));
  }

  finish(): AnswerPieces {
    return unsliced(this.finishSlices());
  }

  *finishSlices(): Slices<AnswerPieces> {
    this.#pending.assertNone();
    for (const [shard, batch] of this.#beside) {
      yield* blaming(
        shard,
        this.#table.merge(batch, ROOT, shard, (list) => list !== this.#list),
      );
    }
    for (const batch of this.#kept.splice(0)) this.#compiled.batches.give(batch);
    const order = yield* rankRows(this.#table.lists[this.#list]!, this.#rank, this.#shownOfRow, this.#window);
    const ordered = yield* OrderedTable.of(this.#table, this.#window, (list) =>
      list === this.#list ? order : undefined,
    );
    return yield* this.#compiled.writer.write(ordered);
  }

  *#keep(shard: number, batch: Batch, purpose: TopAsk<number>, bounds: TopBounds | undefined): Slices<void> {
    const groups = batch.lists[this.#list]!;
    if (purpose.kind === "first" && !this.#beside.has(shard)) this.#beside.set(shard, batch);
    yield* this.#parts.keep(shard, groups, purpose);
    if (purpose.kind !== "first") return;
    const shown = (row: number) => this.#parts.shown(groups, row);
    const first = { shard, count: groups.rows, shown, bounds, limit: purpose.limit };
    this.#rest.set(shard, hasNoMore(first) ? "none" : yield* restOfShard(first, this.#rank, this.#orderField));
  }

  /** The answer is among these parts, which all are here. */
  *#settle(isWanted?: (part: number) => boolean): Slices<readonly ShardRequest[]> {
    yield* this.#fold(isWanted);
    this.#isSettled = true;
    return [];
  }

  *#fallBackToAll(search: TopSearch<number>): Slices<readonly ShardRequest[]> {
    const current = new Set<number>();
    for (const { part } of search.exhausted()) current.add(part);
    yield* this.#fold((part) => current.has(part));
    this.#isAll = true;
    return this.#askAll([...this.#active].filter((shard) => !search.isExhausted(shard)));
  }

  /** Merges parts that are kept; all of them unless told. */
  *#fold(isWanted?: (part: number) => boolean): Slices<void> {
    const { names, batches } = this.#parts;
    const rowOf = new Int32Array(names.rows);
    this.#isHeldAlready = true;
    for (let index = 0; index < batches.length; index++) {
      const batch = batches[index]!;
      if (!this.#active.has(batch.shard)) continue;
      const filter = isWanted && ((row: number) => isWanted(partNumber(index, row)));
      const numbers = { ids: batch.ids, names, rowOf };
      if (batch.groups.isFew) this.#mergeFew(batch, numbers, filter);
      else yield* blaming(batch.shard, this.#mergeNumbered(batch, numbers, filter));
    }
    this.#isHeldAlready = false;
  }

  *#mergeNumbered({ shard, groups }: KeptBatch, numbers: RowNumbers, filter?: RowFilter): Slices<void> {
    const list = this.#table.lists[this.#list]!;
    yield* list.merge(groups, yield* list.rowsOfNumbered(groups, numbers, filter), shard);
  }

  #mergeFew({ shard, groups }: KeptBatch, numbers: RowNumbers, filter?: RowFilter): void {
    const list = this.#table.lists[this.#list]!;
    try {
      list.mergeFew(groups, list.rowsOfFewNumbered(groups, numbers, filter), shard);
    } catch (error) {
      throw blamed(shard, error);
    }
  }

  *#mergeGroups(groups: Batch, shard: number): Slices<void> {
    const list = this.#table.lists[this.#list]!;
    yield* list.merge(groups, yield* list.rowsOf(groups, undefined), shard);
  }

  #askAll(shards: readonly number[]): readonly ShardRequest[] {
    const request = rewriteRequest(this.#plan, this.#request, { limit: undefined });
    return this.#pending.open(new Map(shards.map((shard) => [{ shard, request }, { kind: "all" }])));
  }

  #ask(asks: readonly TopAsk<number>[]): readonly ShardRequest[] {
    const byLimit = new Map<number, Message>();
    const asked = new Map<ShardRequest, Purpose>();
    for (const ask of asks) {
      const known = ask.kind === "first" ? byLimit.get(ask.limit) : undefined;
      const request = known ?? this.#rewritten(ask);
      if (ask.kind === "first") byLimit.set(ask.limit, request);
      asked.set({ shard: ask.shard, request }, ask);
    }
    return this.#pending.open(asked);
  }

  #rewritten(ask: TopAsk<number>): Message {
    if (ask.kind === "first") return rewriteRequest(this.#plan, this.#request, { limit: ask.limit });
    const keys = ask.groups.map(({ identity }) => this.#parts.keyOf(identity as number));
    return rewriteRequest(this.#plan, this.#request, { limit: undefined, keys });
  }
}
