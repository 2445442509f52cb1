import type { HedgePolicy } from "./scatter-policy.ts";

/** Eight buckets for each doubling, from 1/32 ms: a quantile is at most 9 % too high, never too low. */
const BUCKETS = 208;
const PER_DOUBLING = 8;
const LEAST_MS = 1 / 32;
/** Quantiles are worked out anew after so many calls. */
const RECOMPUTE_CALLS = 64;
/** What one call weighs in the share of slow ones: a query over sixteen shards that are all slow turns it over. */
const SLOW_WEIGHT = 1 / 16;

/**
 * How long one method's shard calls take, over all shards and placements: what a straggler is measured against. Older
 * calls weigh less: half after each half-life.
 */
export class MethodLatency {
  /** Position of this method in the estimates of placements. */
  readonly index: number;
  readonly #policy: HedgePolicy;
  readonly #halfLifeMs: number;
  readonly #counts = new Float64Array(BUCKETS);
  #total = 0;
  #halvedAt: number;
  #untilComputed = 1;
  #typicalMs = 0;
  #overdueMs = 0;
  #scarceMs = 0;
  #slowShare = 0;

  constructor(index: number, policy: HedgePolicy, halfLifeMs: number, now: number) {
    this.index = index;
    this.#policy = policy;
    this.#halfLifeMs = halfLifeMs;
    this.#halvedAt = now;
  }

  /** A call took so long, or at least so long when another one was faster. */
  observe(ms: number, now: number): void {
    if (now - this.#halvedAt >= this.#halfLifeMs) this.#decay(now);
    this.#counts[bucketOf(ms)]! += 1;
    this.#total += 1;
    if (--this.#untilComputed <= 0) this.#compute();
  }

  /** After how long a call is overdue. */
  delayMs(isScarce: boolean): number {
    const { samplesMin, delayMinMs, delayMaxMs } = this.#policy;
    if (this.#total < samplesMin) return delayMaxMs;
    return Math.min(delayMaxMs, Math.max(delayMinMs, isScarce ? this.#scarceMs : this.#overdueMs));
  }

  /** The median; 0 while nothing is known. */
  get typicalMs(): number {
    return this.#typicalMs;
  }

  /** Of a call that has ended in time, or has become overdue: each says it once. */
  note(isOverdue: boolean): void {
    this.#slowShare += SLOW_WEIGHT * ((isOverdue ? 1 : 0) - this.#slowShare);
  }

  get slowShare(): number {
    return this.#slowShare;
  }

  /** Most calls are slow: one more each would make it worse. */
  get isSlow(): boolean {
    return this.#slowShare > this.#policy.slowShareMax;
  }

  #decay(now: number): void {
    const factor = 0.5 ** Math.floor((now - this.#halvedAt) / this.#halfLifeMs);
    for (let i = 0; i < BUCKETS; i++) this.#counts[i]! *= factor;
    this.#total *= factor;
    this.#halvedAt = now;
    this.#untilComputed = 0;
  }

  #compute(): void {
    // Often at first, when each call still moves the quantile.
    this.#untilComputed = Math.min(RECOMPUTE_CALLS, Math.max(1, this.#total / 4));
    this.#typicalMs = this.#quantile(0.5);
    this.#overdueMs = this.#quantile(this.#policy.quantile);
    this.#scarceMs = this.#quantile(this.#policy.scarceQuantile);
  }

  #quantile(share: number): number {
    let left = this.#total * share;
    for (let i = 0; i < BUCKETS; i++) {
      left -= this.#counts[i]!;
      if (left <= 0) return LEAST_MS * 2 ** ((i + 1) / PER_DOUBLING);
    }
    return Number.POSITIVE_INFINITY;
  }
}

function bucketOf(ms: number): number {
  if (ms <= LEAST_MS) return 0;
  return Math.min(BUCKETS - 1, Math.floor(Math.log2(ms / LEAST_MS) * PER_DOUBLING));
}
