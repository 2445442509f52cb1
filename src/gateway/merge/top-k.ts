/**
 * The first k groups over all shards, exactly, in at most three rounds, although a group's parts lie on several shards
 * and each shard sends only its own first groups (after TPUT, Cao and Wang 2004).
 *
 *   round 1   every shard sends its first groups and how good and bad the others can be.
 *             τ = the k-th best of what the groups seen are worth at least.
 *   round 2   If no group unseen everywhere can reach τ: the missing parts of the groups that still can, by key.
 *             Else the shards send more groups, so that their bounds fall, and the missing parts of the best seen.
 *   round 3   Again by key; or, where the bounds still do not exclude the unseen, every group of every shard.
 *
 * A group is excluded only if its best possible value is strictly worse than τ: equal values are told apart by key.
 * It is sound because the shards answer at a snapshot: their data cannot move between the rounds.
 *
 * A shard may be given up at any moment (partial answers). Everything is then worked out again without it; that may take
 * one round more for each such shard.
 */
import assert from "node:assert";
import type { Identity } from "../../accumulator/distinct.ts";
import { SLICE, type Slices, slicedSort } from "../../accumulator/sliced-sort.ts";
import type { Rank, Shown } from "./rank.ts";
import { bestUnseen, type Range, type Unseen } from "./top-bounds.ts";
import { type DepthSample, deeperDepth, firstDepth } from "./top-depth.ts";

/** What one shard is asked in one request. */
export type TopAsk<P> =
  | { readonly kind: "first"; readonly shard: number; readonly limit: number }
  | { readonly kind: "keys"; readonly shard: number; readonly groups: readonly TopGroup<P>[] };

export type TopDecision<P> =
  | { readonly kind: "ask"; readonly asks: readonly TopAsk<P>[] }
  /** The bounds do not close: every shard that is not exhausted must send all its groups. */
  | { readonly kind: "all" }
  /** The first k are among these, whose parts are all here. */
  | { readonly kind: "settled"; readonly groups: readonly TopGroup<P>[] };

export interface TopGroup<P> {
  readonly identity: Identity;
  readonly key: unknown;
  /** By shard; undefined where the shard has told that it does not have the group. */
  readonly parts: Map<number, P | undefined>;
}

/** What a shard says of the groups that it did not send; undefined if it does not say. */
export type Rest = "none" | (Unseen & { readonly sample: DepthSample; readonly groups: number }) | undefined;

export interface TopSearchOptions<P> {
  readonly shards: readonly number[];
  /** k: limit and offset together. */
  readonly wanted: number;
  readonly rank: Rank;
  readonly keysPerRequestMax: number;
  /** Of a group with these parts, and what else the other shards may have. */
  range(parts: readonly P[], unseen: readonly Unseen[]): Range;
}

interface Standing<P> {
  readonly group: TopGroup<P>;
  readonly range: Range;
  /** Shards that may have a part that is not here. */
  readonly missing: readonly number[];
}

export class TopSearch<P> {
  readonly #options: TopSearchOptions<P>;
  readonly #active: Set<number>;
  readonly #rest = new Map<number, Rest>();
  readonly #groups = new Map<Identity, TopGroup<P>>();
  #hasDeepened = false;
  #isBounded = true;

  constructor(options: TopSearchOptions<P>) {
    this.#options = options;
    this.#active = new Set(options.shards);
  }

  begin(): readonly TopAsk<P>[] {
    const limit = firstDepth(this.#options.wanted);
    return [...this.#active].map((shard) => ({ kind: "first", shard, limit }));
  }

  /**
   * A group that the shard sent. The same part may come twice, in its first groups and by key; returns whether it is
   * new.
   */
  learn(shard: number, identity: Identity, key: unknown, part: P): boolean {
    const known = this.#groups.get(identity);
    const isNew = known?.parts.get(shard) === undefined;
    if (known !== undefined) known.parts.set(shard, part);
    else this.#groups.set(identity, { identity, key, parts: new Map([[shard, part]]) });
    return isNew;
  }

  /** The shard has sent its first groups. */
  learnRest(shard: number, rest: Rest): void {
    this.#rest.set(shard, rest);
  }

  /** The shard has sent what it has of these groups. */
  learnKeys(shard: number, groups: readonly TopGroup<P>[]): void {
    for (const { parts } of groups) if (!parts.has(shard)) parts.set(shard, undefined);
  }

  /** Something came that bounds cannot be worked out with: all groups must travel. */
  giveUpBounds(): void {
    this.#isBounded = false;
  }

  exclude(shard: number): void {
    this.#active.delete(shard);
  }

  /** Parts of shards that have nothing more to send. */
  *exhausted(): Iterable<{ readonly shard: number; readonly part: P }> {
    for (const { parts } of this.#groups.values()) {
      for (const [shard, part] of parts) if (part !== undefined && this.isExhausted(shard)) yield { shard, part };
    }
  }

  isExhausted(shard: number): boolean {
    return this.#active.has(shard) && this.#rest.get(shard) === "none";
  }

  *decide(): Slices<TopDecision<P>> {
    const unseen = this.#unseenByShard();
    if (unseen === undefined || !this.#isBounded) return { kind: "all" };
    const { rank, wanted } = this.#options;
    const standings = yield* this.#standings(unseen);
    const worst = yield* slicedSort(standings, (a, b) => rank.order(a.range.worst, b.range.worst));
    const threshold = worst[wanted - 1];
    const mayEnter = (best: Shown) => threshold === undefined || rank.order(best, threshold.range.worst) <= 0;
    const contenders = standings.filter(({ range }) => mayEnter(range.best));
    if (unseen.size > 0 && mayEnter(bestUnseen(rank, [...unseen.values()]))) {
      return this.#deepen(unseen, worst, threshold?.range.worst);
    }
    const open = contenders.filter(({ missing }) => missing.length > 0);
    if (open.length === 0) return { kind: "settled", groups: contenders.map(({ group }) => group) };
    return this.#askByKey(open, unseen);
  }

  /** By shard that has more groups; undefined if one of them does not say how good they are. */
  #unseenByShard(): Map<number, Exclude<Rest, "none" | undefined>> | undefined {
    const unseen = new Map<number, Exclude<Rest, "none" | undefined>>();
    for (const shard of this.#active) {
      const rest = this.#rest.get(shard);
      if (rest === undefined) return undefined;
      if (rest !== "none") unseen.set(shard, rest);
    }
    return unseen;
  }

  *#standings(unseen: ReadonlyMap<number, Unseen>): Slices<Standing<P>[]> {
    const standings: Standing<P>[] = [];
    let visited = 0;
    for (const group of this.#groups.values()) {
      if (++visited % SLICE === 0) yield;
      const parts: P[] = [];
      for (const [shard, part] of group.parts) if (part !== undefined && this.#active.has(shard)) parts.push(part);
      if (parts.length === 0) continue;
      const missing: number[] = [];
      for (const shard of unseen.keys()) if (!group.parts.has(shard)) missing.push(shard);
      const range = this.#options.range(
        parts,
        missing.map((shard) => unseen.get(shard)!),
      );
      standings.push({ group, range, missing });
    }
    return standings;
  }

  #deepen(
    unseen: ReadonlyMap<number, Exclude<Rest, "none" | undefined>>,
    best: readonly Standing<P>[],
    threshold: Shown,
  ): TopDecision<P> {
    if (this.#hasDeepened) return { kind: "all" };
    this.#hasDeepened = true;
    // Half of an equal share, so that the sum of the bounds falls clearly below τ and few groups stay open.
    const target = this.#options.rank.family === "sum" ? Number(threshold ?? 0) / (2 * unseen.size) : 0;
    const asks: TopAsk<P>[] = [];
    let asked = 0;
    let held = 0;
    for (const [shard, { sample, groups }] of unseen) {
      const limit = Math.min(
        this.#options.rank.descending ? deeperDepth(sample, target) : deeperDepth(sample, 0),
        groups,
      );
      asked += limit;
      held += groups;
      if (limit > sample.depth) asks.push({ kind: "first", shard, limit });
    }
    if (asks.length === 0 || asked * 2 > held) return { kind: "all" };
    // The best of those seen made exact raise τ, whose lower bounds are poor while parts are missing.
    const seen = best.filter(({ missing }) => missing.length > 0).slice(0, 2 * this.#options.wanted);
    return { kind: "ask", asks: [...asks, ...this.#keyAsks(seen)] };
  }

  #askByKey(open: readonly Standing<P>[], unseen: ReadonlyMap<number, { readonly groups: number }>): TopDecision<P> {
    let parts = 0;
    for (const { missing } of open) parts += missing.length;
    let held = 0;
    for (const { groups } of unseen.values()) held += groups;
    // A key travels there and its group back: for half of all groups it is cheaper to send all.
    return parts * 2 > held ? { kind: "all" } : { kind: "ask", asks: this.#keyAsks(open) };
  }

  #keyAsks(open: readonly Standing<P>[]): TopAsk<P>[] {
    const byShard = new Map<number, TopGroup<P>[]>();
    for (const { group, missing } of open) {
      for (const shard of missing) {
        const groups = byShard.get(shard);
        if (groups === undefined) byShard.set(shard, [group]);
        else groups.push(group);
      }
    }
    const { keysPerRequestMax } = this.#options;
    assert(keysPerRequestMax > 0, "a request must be allowed a key");
    const asks: TopAsk<P>[] = [];
    for (const [shard, groups] of byShard) {
      for (let start = 0; start < groups.length; start += keysPerRequestMax) {
        asks.push({ kind: "keys", shard, groups: groups.slice(start, start + keysPerRequestMax) });
      }
    }
    return asks;
  }
}
