/**
 * Merging a response with top groups: the messages around the search in `top-k.ts`.
 *
 * While the search goes on the parts of groups are kept by shard, so that a shard can still be given up. When all
 * groups travel, because they are asked for or because the bounds do not close, they are merged as they come: then
 * memory is for groups, not for groups times shards.
 */
import assert from "node:assert";
import type { Message } from "@bufbuild/protobuf";
import type { Identity } from "../../accumulator/distinct.ts";
import { SLICE, type Slices, unsliced } from "../../accumulator/sliced-sort.ts";
import type { Window } from "../../accumulator/sorted.ts";
import type { MessageRecipe, MethodPlan, TopRecipe } from "../../merge-plan/method-plan.ts";
import { requestedKeys, requestOrder, requestWindow, rowsForWindow } from "../../merge-plan/request-window.ts";
import { rowIdentity } from "../../merge-plan/value-identity.ts";
import { fieldReader } from "../../wire/message-field.ts";
import { rewriteRequest } from "../plan/rewrite-request.ts";
import type { ShardRequest } from "../plan/shard-request.ts";
import { answerPieces } from "./answer-pieces.ts";
import { badPartial, blaming } from "./bad-partial.ts";
import { decodePartial } from "./decode-partial.ts";
import { rankGroups } from "./group-ranking.ts";
import { type MemoryBudget, memoryBudget } from "./held-bytes.ts";
import type { AnswerPieces, MergeExecution, MergeLimits, Partial } from "./merge-execution.ts";
import { keyOrder, type MessageAccumulator, type MessageState, messageAccumulator } from "./message-accumulator.ts";
import { PendingRequests } from "./pending-requests.ts";
import { compileRank, type Rank, type Shown } from "./rank.ts";
import { restOfShard } from "./shard-rest.ts";
import { extremeRange, sumRange } from "./top-bounds.ts";
import { KEYS_PER_REQUEST_MAX } from "./top-depth.ts";
import { type TopAsk, type TopGroup, TopSearch } from "./top-k.ts";

type Purpose = { readonly kind: "all" } | TopAsk<Message>;

export class TopMerge implements MergeExecution {
  readonly acceptsColumns = false;
  readonly #plan: MethodPlan;
  readonly #request: Message;
  readonly #top: TopRecipe;
  readonly #window: Window;
  readonly #rank: Rank;
  readonly #orderField: string;
  readonly #budget: MemoryBudget;
  readonly #response: MessageAccumulator;
  readonly #element: MessageAccumulator;
  /** Merges parts only to see how good they are, which must not count as memory held. */
  readonly #scratch: MessageAccumulator;
  readonly #readGroups: (message: Message) => readonly Message[];
  readonly #readKey: (group: Message) => unknown;
  readonly #identityOf: (group: Message) => Identity;
  readonly #topIndex: number;

  readonly #pending = new PendingRequests<Purpose>();
  readonly #active: Set<number>;
  /** By shard: the fields beside the groups, as round 1 brought them. Later rounds ask for less than the whole. */
  readonly #beside = new Map<number, Message>();
  readonly #search: TopSearch<Message> | undefined;
  /** Of the groups, once all of them travel. */
  #all: Map<Identity, MessageState> | undefined;
  #settled: readonly TopGroup<Message>[] | undefined;

  constructor(
    plan: MethodPlan,
    { recipe, top }: { readonly recipe: MessageRecipe; readonly top: TopRecipe },
    request: Message,
    shards: readonly number[],
    limits: MergeLimits,
  ) {
    const order = requestOrder(plan, top, request);
    this.#plan = plan;
    this.#request = request;
    this.#top = top;
    this.#window = requestWindow(plan, request);
    this.#rank = compileRank(top.element, order);
    this.#orderField = order.field.name;
    this.#budget = memoryBudget(limits);
    const context = { window: this.#window, budget: this.#budget };
    // The groups are merged here; when the response is finished they stand ready in its state.
    const chosen = {
      empty: () => [],
      add: (state: unknown) => state,
      merge: (a: unknown) => a,
      finish: (s: unknown) => s,
    };
    this.#response = messageAccumulator(recipe, context, { field: top.field, accumulator: chosen });
    this.#element = messageAccumulator(top.element, context);
    this.#scratch = messageAccumulator(top.element, { window: this.#window, budget: { hold() {}, holdBytes() {} } });
    this.#readGroups = fieldReader(top.field) as (message: Message) => readonly Message[];
    this.#readKey = fieldReader(top.key[0]!);
    this.#identityOf = rowIdentity(top.key);
    this.#topIndex = recipe.fields.findIndex(({ field }) => field === top.field);
    this.#active = new Set(shards);
    const wanted = rowsForWindow(this.#window);
    const isSearch =
      wanted !== undefined && plan.roles.keyFilter !== undefined && requestedKeys(plan, request).length === 0;
    if (isSearch && plan.roles.limit !== undefined) {
      const keysPerRequestMax = limits.keysPerRequestMax ?? KEYS_PER_REQUEST_MAX;
      this.#search = new TopSearch({
        shards,
        wanted,
        rank: this.#rank,
        keysPerRequestMax,
        range: this.#range.bind(this),
      });
    } else this.#all = new Map();
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
    const message = decodePartial(this.#plan.method.output, partial);
    const purpose = this.#pending.take(partial)!;
    try {
      yield* blaming(partial.shard, this.#learn(partial, message, purpose));
    } catch (error) {
      this.#pending.fail(partial.shard, error);
      throw error;
    }
  }

  exclude(shard: number): void {
    if (this.#all === undefined) this.#pending.exclude(shard);
    else this.#pending.excludeUnmerged(shard);
    this.#active.delete(shard);
    this.#beside.delete(shard);
    this.#search?.exclude(shard);
  }

  next(): readonly ShardRequest[] {
    return unsliced(this.nextSlices());
  }

  *nextSlices(): Slices<readonly ShardRequest[]> {
    this.#pending.assertNone();
    if (this.#search === undefined || this.#all !== undefined) return [];
    const decision = yield* this.#search.decide();
    if (decision.kind === "ask") return this.#ask(decision.asks);
    if (decision.kind === "settled") {
      this.#settled = decision.groups;
      return [];
    }
    return yield* this.#fallBackToAll(this.#search);
  }

  finish(): AnswerPieces {
    return unsliced(this.finishSlices());
  }

  *finishSlices(): Slices<AnswerPieces> {
    this.#pending.assertNone();
    const states = this.#all?.values() ?? this.#settledStates();
    const ranked = yield* rankGroups(states, this.#rank, keyOrder(this.#top.element, this.#top.key), this.#window);
    const chosen: Message[] = [];
    for (const one of ranked) {
      chosen.push(this.#element.finish(one));
      if (chosen.length % SLICE === 0) yield;
    }
    const state = this.#response.empty();
    for (const shard of [...this.#beside.keys()].sort((a, b) => a - b)) {
      yield* this.#response.addSlices(state, this.#beside.get(shard)!, shard);
    }
    state[this.#topIndex] = chosen;
    return yield* answerPieces(this.#plan.method.output, yield* this.#response.finishSlices(state));
  }

  *#settledStates(): Iterable<MessageState> {
    assert(this.#settled !== undefined, "the answer is not settled: `next` must say so first");
    for (const { parts } of this.#settled) {
      const shards = [...parts.keys()].filter((shard) => this.#active.has(shard)).sort((a, b) => a - b);
      yield shards.reduce((state, shard) => {
        const part = parts.get(shard);
        return part === undefined ? state : this.#element.add(state, part, shard);
      }, this.#element.empty());
    }
  }

  *#learn({ shard, bounds }: Partial, message: Message, purpose: Purpose): Slices<void> {
    const groups = this.#readGroups(message);
    if (purpose.kind !== "keys" && !this.#beside.has(shard)) this.#beside.set(shard, this.#withoutGroups(message));
    if (purpose.kind === "all") return yield* this.#addToAll(groups, shard);
    const search = this.#search!;
    const asked = purpose.kind === "keys" ? new Set(purpose.groups.map(({ identity }) => identity)) : undefined;
    const sent = new Set<Identity>();
    for (const group of groups) {
      const identity = this.#identityOf(group);
      if (sent.has(identity)) throw badPartial(shard, `group ${String(identity)} is there twice`);
      sent.add(identity);
      if (asked?.has(identity) === false) throw badPartial(shard, `group ${String(identity)} was not asked for`);
      if (this.#rank.isAbsent(group)) search.giveUpBounds();
      // A part that was sent before takes the former one's place.
      if (search.learn(shard, identity, this.#readKey(group), group)) this.#budget.hold(group);
      if (sent.size % SLICE === 0) yield;
    }
    if (purpose.kind === "keys") search.learnKeys(shard, purpose.groups);
    else {
      const shown = (index: number) => this.#valueOf([groups[index]!]);
      const first = { shard, count: groups.length, shown, bounds, limit: purpose.limit };
      search.learnRest(shard, yield* restOfShard(first, this.#rank, this.#orderField));
    }
  }

  *#addToAll(groups: Iterable<Message>, shard: number): Slices<void> {
    let visited = 0;
    for (const group of groups) {
      this.#addOneToAll(group, shard, "new");
      if (++visited % SLICE === 0) yield;
    }
  }

  #addOneToAll(group: Message, shard: number, memory: "new" | "held already"): void {
    const all = this.#all!;
    const identity = this.#identityOf(group);
    const known = all.get(identity);
    if (known !== undefined) this.#element.add(known, group, shard);
    else {
      if (memory === "new") this.#budget.hold(group);
      all.set(identity, this.#element.add(this.#element.empty(), group, shard));
    }
  }

  *#fallBackToAll(search: TopSearch<Message>): Slices<readonly ShardRequest[]> {
    this.#all = new Map();
    let visited = 0;
    for (const { shard, part } of search.exhausted()) {
      this.#addOneToAll(part, shard, "held already");
      if (++visited % SLICE === 0) yield;
    }
    return this.#askAll([...this.#active].filter((shard) => !search.isExhausted(shard)));
  }

  #askAll(shards: readonly number[]): readonly ShardRequest[] {
    const request = rewriteRequest(this.#plan, this.#request, { limit: undefined });
    return this.#pending.open(new Map(shards.map((shard) => [{ shard, request }, { kind: "all" }])));
  }

  #ask(asks: readonly TopAsk<Message>[]): readonly ShardRequest[] {
    return this.#pending.open(new Map(asks.map((ask) => [{ shard: ask.shard, request: this.#rewritten(ask) }, ask])));
  }

  #rewritten(ask: TopAsk<Message>): Message {
    if (ask.kind === "first") return rewriteRequest(this.#plan, this.#request, { limit: ask.limit });
    return rewriteRequest(this.#plan, this.#request, { limit: undefined, keys: ask.groups.map(({ key }) => key) });
  }

  #range(parts: readonly Message[], unseen: Parameters<typeof sumRange>[2]) {
    if (this.#rank.family === "extreme") return extremeRange(this.#rank, this.#valueOf(parts), unseen);
    let sum = 0n;
    for (const part of parts) {
      const exact = this.#rank.exactOf(part);
      if (exact === undefined) {
        // NaN or an infinity: what other shards hold unseen is finite and changes nothing.
        const value = this.#valueOf(parts);
        return { best: value, worst: value };
      }
      sum += exact;
    }
    return sumRange(this.#rank, sum, unseen);
  }

  #valueOf(parts: readonly Message[]): Shown {
    return this.#rank.valueOf(parts.reduce((state, part) => this.#scratch.add(state, part, 0), this.#scratch.empty()));
  }

  #withoutGroups(message: Message): Message {
    const bare = Object.assign(Object.create(Object.getPrototypeOf(message)), message);
    bare[this.#top.field.localName] = [];
    return bare;
  }
}
