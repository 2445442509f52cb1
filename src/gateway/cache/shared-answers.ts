import { faultFromUnknown } from "../../fault/fault-from-unknown.ts";
import type { Clock } from "../../process/clock.ts";
import type { Completeness } from "../../wire/generated/skynetes/v1/stamp_pb.ts";
import type { Gathering } from "../query/gathering.ts";
import type { MemoryPool } from "../query/memory-pool.ts";
import type { OpenQuery } from "../query/open-query.ts";
import type { PreparedQuery, UnderstoodQuery } from "../query/prepared-query.ts";
import { ANY_CACHE } from "../receive/cache-wish.ts";
import type { QueryIntent } from "../receive/query-intent.ts";
import type { RoutingState } from "../table/routing-state.ts";
import { AnswerCache, type FinishedAnswer } from "./answer-cache.ts";
import type { CacheCounts } from "./bounded-cache.ts";
import { answerKey, joinKey } from "./cache-key.ts";
import { JoinedQueries } from "./joined-queries.ts";
import { KnownRequests } from "./known-requests.ts";
import { PartialCache } from "./partial-cache.ts";
import { QueryPartials } from "./query-partials.ts";

export interface SharingParts {
  /** Keys, values and what it takes to hold them: 1/2 partials, 3/8 answers, 1/8 requests. 0: nothing is kept. */
  readonly cacheBytesMax: number;
  /** Queries that ask the same at the same time are answered together. */
  readonly joins: boolean;
  readonly pool: MemoryPool;
  readonly clock: Clock;
  readonly partialFloor: number;
}

/** What became of a query at the caches, for `Cache-Status` and for counting. */
export interface CacheOutcome {
  /** `hit`: a kept answer. `request`: the client wanted none. `bypass`: answers of this method are not kept here. */
  readonly answer: "hit" | "miss" | "request" | "bypass";
  /** Another query was answering the same. */
  readonly isCollapsed: boolean;
  readonly isStored: boolean;
  /** Partials that the merge needed, and how many of them were kept from before. Absent where none are kept. */
  readonly partials: { readonly asked: number; readonly found: number } | undefined;
}

export const HIT: CacheOutcome = { answer: "hit", isCollapsed: false, isStored: false, partials: undefined };

export interface SharedAnswer {
  readonly finished: FinishedAnswer;
  readonly completeness: Completeness;
  readonly outcome: CacheOutcome;
  /** Hands in the body that HTTP sends. Nothing of an incomplete answer is taken. */
  keepBody(body: Buffer): void;
  close(): void;
}

/** Asks the shards, but for the partials that are kept, and merges. */
export type Gather = (gathering: Gathering, partials: QueryPartials | undefined) => Promise<FinishedAnswer["pieces"]>;

interface Gathered {
  readonly finished: FinishedAnswer;
  readonly partials: QueryPartials | undefined;
}

/** Answers that were made before, answers that are being made, and partials that were sent before. */
export class SharedAnswers {
  readonly #requests: KnownRequests | undefined;
  readonly #answers: AnswerCache | undefined;
  readonly #partials: PartialCache | undefined;
  readonly #joined: JoinedQueries<Gathered>;
  readonly #joins: boolean;

  constructor({ cacheBytesMax, joins, pool, clock, partialFloor }: SharingParts) {
    if (cacheBytesMax > 0) {
      this.#requests = new KnownRequests(cacheBytesMax / 8);
      this.#answers = new AnswerCache((cacheBytesMax / 8) * 3);
      this.#partials = new PartialCache(cacheBytesMax / 2);
    }
    this.#joined = new JoinedQueries(pool, clock, partialFloor);
    this.#joins = joins;
  }

  get counts(): { readonly [part: string]: CacheCounts } {
    const parts = { requests: this.#requests, answers: this.#answers, partials: this.#partials };
    const there = Object.entries(parts).flatMap(([name, part]) => (part === undefined ? [] : [[name, part.counts]]));
    return Object.fromEntries(there);
  }

  /** What a request means, where it is not known from before. Faults: those of `understand`. */
  understand(intent: QueryIntent, state: RoutingState, understand: () => UnderstoodQuery): UnderstoodQuery {
    return this.#requests?.understand(intent, state, understand) ?? understand();
  }

  /** How many gatherings further queries may join. */
  get joinable(): number {
    return this.#joined.size;
  }

  /** A kept answer to the query. */
  find(query: PreparedQuery): FinishedAnswer | undefined {
    if (this.#answers === undefined || !wishOf(query).serve) return undefined;
    const key = answerKey(query);
    return key === undefined ? undefined : this.#answers.find(key);
  }

  /** Answers one query with the others that ask the same now, and keeps what may be kept. Faults: those of `gather`. */
  async gather(query: PreparedQuery, waiter: OpenQuery, gather: Gather): Promise<SharedAnswer> {
    const wish = wishOf(query);
    // Who has wishes of its own about caches is answered by itself.
    const key = this.#joins && wish.serve && wish.store ? joinKey(query) : undefined;
    const { answer, completeness, isCollapsed, close } = await this.#joined.gather(key, waiter, async (gathering) => {
      const partials = this.#partialsOf(query);
      return { finished: { pieces: await withPartials(gathering, partials, gather), body: undefined }, partials };
    });
    const { finished, partials } = answer;
    const isStored = completeness.complete && !isCollapsed && this.#keep(query, finished);
    const found = wish.serve ? "miss" : "request";
    const outcome: CacheOutcome = {
      answer: this.#answers === undefined || query.tag === undefined ? "bypass" : found,
      isCollapsed,
      isStored,
      partials: partials?.counts,
    };
    const keepBody = (body: Buffer) => {
      if (completeness.complete) this.keepBody(query, finished, body);
    };
    return { finished, completeness, outcome, keepBody, close };
  }

  /** Of a complete answer. Whoever writes it first writes it for all. */
  keepBody(query: PreparedQuery, finished: FinishedAnswer, body: Buffer): void {
    finished.body = body;
    this.#keep(query, finished);
  }

  #keep(query: PreparedQuery, finished: FinishedAnswer): boolean {
    const key = answerKey(query);
    if (this.#answers === undefined || key === undefined || !wishOf(query).store) return false;
    return this.#answers.keep(key, finished);
  }

  #partialsOf(query: PreparedQuery): QueryPartials | undefined {
    if (this.#partials === undefined || !query.resolved.plan.deterministic) return undefined;
    return new QueryPartials(this.#partials, query.resolved, wishOf(query));
  }
}

async function withPartials(
  gathering: Gathering,
  partials: QueryPartials | undefined,
  gather: Gather,
): Promise<FinishedAnswer["pieces"]> {
  try {
    return await gather(gathering, partials);
  } catch (error) {
    const { id, detail } = faultFromUnknown(error, "answer query");
    if (id === "bad-partial" || id === "internal") partials?.drop(detail.shard);
    throw error;
  }
}

function wishOf(query: PreparedQuery) {
  return query.intent.cache ?? ANY_CACHE;
}
