import type { CacheWish } from "../receive/cache-wish.ts";
import type { ResolvedQuery } from "../resolve/resolve-query.ts";
import type { ShardQuestion } from "../scatter/shard-question.ts";
import type { ShardReply } from "../scatter/shard-transport.ts";
import { partialKey, shardRequestKey } from "./cache-key.ts";
import type { PartialCache } from "./partial-cache.ts";

/** The partial cache as one gathering uses it. */
export class QueryPartials {
  readonly #cache: PartialCache;
  readonly #resolved: ResolvedQuery;
  readonly #wish: CacheWish;
  readonly #requestKeys = new Map<Uint8Array, string>();
  /** Keys, each with its shard. */
  readonly #used = new Map<string, number>();
  #asked = 0;
  #found = 0;

  constructor(cache: PartialCache, resolved: ResolvedQuery, wish: CacheWish) {
    this.#cache = cache;
    this.#resolved = resolved;
    this.#wish = wish;
  }

  /** How many partials were needed so far, over all rounds, and how many of them were there. */
  get counts(): { readonly asked: number; readonly found: number } {
    return { asked: this.#asked, found: this.#found };
  }

  /** The answer to a question, stamped for its snapshot; undefined when the shard is to be asked. */
  find(question: ShardQuestion): ShardReply | undefined {
    this.#asked++;
    if (!this.#wish.serve) return undefined;
    const key = this.#key(question);
    const found = key === undefined ? undefined : this.#cache.find(key, question.expected);
    if (key === undefined || found === undefined) return undefined;
    this.#found++;
    this.#used.set(key, question.expected.shard);
    return found;
  }

  /** Takes what a shard answered, after it was vouched for and has entered the merge. */
  keep(question: ShardQuestion, reply: ShardReply): void {
    if (!this.#wish.store) return;
    const key = this.#key(question);
    if (key === undefined || this.#used.has(key)) return;
    this.#used.set(key, question.expected.shard);
    this.#cache.keep(key, question.expected, reply);
  }

  /** Whether it would be kept, once it is merged. */
  mayKeep(question: ShardQuestion, reply: ShardReply): boolean {
    if (!this.#wish.store) return false;
    const key = this.#key(question);
    return key !== undefined && !this.#used.has(key) && this.#cache.fits(key, reply);
  }

  /** The merge failed over what it had taken, of this shard where one is named: a retry must be able to end otherwise. */
  drop(shard?: number): void {
    for (const [key, of] of this.#used) if (shard === undefined || of === shard) this.#cache.drop(key);
  }

  /** A shard without a digest is in no known state. Round by round, shards are sent the same few requests. */
  #key({ expected, request }: ShardQuestion): string | undefined {
    if (expected.stateDigest === "") return undefined;
    let requestKey = this.#requestKeys.get(request);
    if (requestKey === undefined) {
      requestKey = shardRequestKey(this.#resolved, request);
      this.#requestKeys.set(request, requestKey);
    }
    return partialKey(requestKey, expected);
  }
}
