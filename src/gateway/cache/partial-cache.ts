import assert from "node:assert";
import { type Stamp, stampDifference } from "../../mesh/stamp.ts";
import type { ShardReply } from "../scatter/shard-transport.ts";
import { BoundedCache, type CacheCounts } from "./bounded-cache.ts";
import { ownBytes } from "./own-bytes.ts";

interface KeptPartial {
  /** As vouched for when it came; its snapshot is that of the query that asked. */
  readonly stamp: Stamp;
  /** What it says. How it came is of the query that asked, and would be untrue of another. */
  readonly reply: Pick<ShardReply, "message" | "bounds" | "format">;
}

/**
 * Verified partials, kept by what they depend on. A shard's state does not know of which snapshots it is, so what is
 * found is stamped for the snapshot that asks: a new snapshot costs the shards that have changed, a retry those that
 * are missing.
 */
export class PartialCache {
  readonly #cache: BoundedCache<KeptPartial>;

  constructor(bytesMax: number) {
    this.#cache = new BoundedCache(bytesMax);
  }

  get counts(): CacheCounts {
    return this.#cache.counts;
  }

  find(key: string, expected: Stamp): ShardReply | undefined {
    const kept = this.#cache.get(key);
    if (kept === undefined) return undefined;
    const { shard, stateDigest, serviceVersion } = kept.stamp;
    const stamp = { ...expected, shard, stateDigest, serviceVersion };
    const difference = stampDifference(expected, stamp);
    assert(difference === undefined, `a partial is kept under the key of another: ${difference}`);
    return { ...kept.reply, stamp };
  }

  fits(key: string, { message, bounds }: ShardReply): boolean {
    return this.#cache.fits(key, message.length + (bounds?.length ?? 0));
  }

  /** Only what was vouched for and merged. */
  keep(key: string, vouched: Stamp, reply: ShardReply): void {
    if (!this.fits(key, reply)) return;
    const { message, bounds, format } = reply;
    const bytes = message.length + (bounds?.length ?? 0);
    const copies = { message: ownBytes([message]), bounds: bounds && ownBytes([bounds]) };
    const kept = format === undefined ? copies : { ...copies, format };
    this.#cache.set(key, { stamp: vouched, reply: kept }, bytes);
  }

  drop(key: string): void {
    this.#cache.delete(key);
  }
}
