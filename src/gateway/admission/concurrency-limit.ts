/**
 * How many queries may ask shards at once, found out while it works.
 *
 * By Little's law a mesh that serves c queries at once without queueing answers c / R in a second; with L > c under way
 * it answers no more of them, each in R·L/c. So the ratio of latency to latency without load tells how far L is above c.
 * Every window: limit ← limit · min(1, tolerance / ratio) + √limit, half of the way. At rest it is some 1.5 c: above c,
 * so that nothing is lost to chance, and by little, so that what is admitted is answered soon.
 *
 * What is known to go wrong with such limits, and what is done about it here:
 * - Under lasting load "latency without load" becomes latency under load, and the limit climbs. So only queries that
 *   never met more than half of the limit under way count for the baseline. When there were none for a period the limit
 *   is halved for a moment; at the same moment on every gateway and worker, since they load the same shards.
 * - A mesh that has become slower for everybody looks overloaded, and a limit that shrinks for it gives goodput away for
 *   nothing. So latency at half of the load is measured then, too: as long as at all of it, it is the new baseline.
 * - An idle gateway learns nothing of its limit, so the limit moves only in windows that used half of it.
 * - A gateway whose own processor is the bottleneck sees it late in latency: the delay of its event loop is a signal of
 *   its own, and so are queries that ended at their deadline or with a shard's `overloaded`.
 */
import type { Clock } from "../../process/clock.ts";
import type { AdmissionLimits } from "./admission-limits.ts";
import { type Cohort, LatencyBaseline } from "./latency-baseline.ts";

/**
 * `ok` tells of latency; `dropped`, refused by a shard, of too much load, and so does `late` where the deadline was not
 * just too short; `ignored` (a client that went away, a bad request) of nothing.
 */
export type QueryOutcome = "ok" | "dropped" | "late" | "ignored";

export interface EndedQuery {
  readonly method: object;
  /** From its admission on. */
  readonly ms: number;
  readonly outcome: QueryOutcome;
  /** As `begin` returned it. */
  readonly cohort: Cohort | undefined;
}

const SAMPLES_MIN = 10;
/** A window with fewer ends after so many times its length. */
const WINDOW_STRETCH = 10;
const SHRINK_MAX = 0.5;
/** More of a window's queries dropped than this is overload. */
const DROPPED_SHARE_MAX = 0.05;
const SHRINK_DROPPED = 0.7;
const SHRINK_LOOP = 0.9;
const SMOOTHING = 0.5;
/** Shrunk to less than this since the last one, the limit is halved for a moment to measure anew. */
const PROBE_SHRUNK = 0.7;
/** So many times what is tolerated is no rest at which a limit stays: what it is compared with is in doubt. */
const FAR_OFF = 2;
/** Half of a small limit needs so many latencies for a cohort. It ends as soon as one is there. */
const PROBE_LATENCIES = 20;

export class ConcurrencyLimit {
  readonly #limits: AdmissionLimits;
  readonly #clock: Clock;
  /** Mean delay of the event loop since the last call, in milliseconds. */
  readonly #takeLoopDelay: () => number;
  readonly #baseline = new LatencyBaseline();
  #limit: number;
  #latencyMs: number | undefined;
  #window = { startedAt: 0, expectedMs: 0, actualMs: 0, sumMs: 0, ok: 0, dropped: 0, inFlightMax: 0 };
  /** Of the wall clock, which gateways have in common. */
  #period: number;
  #isBaselineFresh = true;
  /** When more than half of the limit was under way. */
  #loadedAt = Number.NEGATIVE_INFINITY;
  #limitWhenProbed: number;
  #probedAt = Number.NEGATIVE_INFINITY;
  #probeEndsAt: number | undefined;

  constructor(limits: AdmissionLimits, clock: Clock, takeLoopDelay: () => number) {
    this.#limits = limits;
    this.#clock = clock;
    this.#takeLoopDelay = takeLoopDelay;
    this.#limit = this.#bounded(limits.concurrencyInitial);
    this.#limitWhenProbed = this.#limit;
    this.#window.startedAt = clock.monotonic();
    this.#period = this.#currentPeriod();
  }

  get value(): number {
    if (this.#probeEndsAt === undefined) return Math.floor(this.#limit);
    return Math.max(1, Math.floor(this.#limit / 2));
  }

  /** Queries that can be answered in a second, as far as is known. */
  get answersPerSecond(): number {
    return this.#latencyMs === undefined ? Number.POSITIVE_INFINITY : (this.#limit * 1000) / this.#latencyMs;
  }

  /** What a query of the method takes without load; 0 while that is not known. */
  expectedMs(method: object): number {
    return this.#baseline.of(method) ?? 0;
  }

  /** `inFlight` counts the query. What is returned is given back with its end. */
  begin(method: object, inFlight: number): Cohort | undefined {
    this.#window.inFlightMax = Math.max(this.#window.inFlightMax, inFlight);
    if (this.#currentPeriod() !== this.#period) this.#beginPeriod();
    const isUnloaded = inFlight <= Math.max(1, this.#limit / 2);
    if (!isUnloaded) this.#loadedAt = this.#clock.monotonic();
    return this.#baseline.begin(method, isUnloaded);
  }

  end({ method, ms, outcome, cohort }: EndedQuery): void {
    const window = this.#window;
    const isMeasured = outcome === "ok";
    const now = this.#clock.monotonic();
    const hasMetLoad = this.#loadedAt >= now - ms;
    this.#learn(this.#baseline.end({ method, cohort, ms: isMeasured ? ms : undefined, hasMetLoad }));
    const expected = this.#baseline.of(method);
    const isLate = outcome === "late" && ms > (expected ?? 0) * this.#limits.latencyTolerance;
    if (outcome === "dropped" || isLate) window.dropped++;
    if (isMeasured) {
      window.sumMs += ms;
      window.ok++;
      if (expected !== undefined) {
        window.actualMs += ms;
        window.expectedMs += expected;
      }
    }
    if (this.#probeEndsAt !== undefined && now >= this.#probeEndsAt) this.#endProbe();
    const age = now - window.startedAt;
    const { limitWindowMs } = this.#limits;
    const isFull = age >= limitWindowMs && window.ok + window.dropped >= SAMPLES_MIN;
    if (isFull || age >= limitWindowMs * WINDOW_STRETCH) this.#endWindow(now);
  }

  #endWindow(now: number): void {
    const { startedAt: _startedAt, ...seen } = this.#window;
    const loopDelay = this.#takeLoopDelay();
    this.#window = { startedAt: now, expectedMs: 0, actualMs: 0, sumMs: 0, ok: 0, dropped: 0, inFlightMax: 0 };
    if (seen.ok > 0) {
      const meanMs = seen.sumMs / seen.ok;
      this.#latencyMs = this.#latencyMs === undefined ? meanMs : (this.#latencyMs + meanMs) / 2;
    }
    // A probe's latency says what the baseline is, not what the limit should be.
    if (this.#probeEndsAt !== undefined || seen.inFlightMax <= this.#limit / 2) return;
    const ratio = seen.expectedMs === 0 ? 1 : seen.actualMs / seen.expectedMs;
    const isDropping = seen.dropped > (seen.ok + seen.dropped) * DROPPED_SHARE_MAX;
    const isLoopLate = loopDelay > this.#limits.loopDelayMaxMs;
    const gradient = Math.min(
      Math.max(SHRINK_MAX, Math.min(1, this.#limits.latencyTolerance / ratio)),
      isDropping ? SHRINK_DROPPED : 1,
      isLoopLate ? SHRINK_LOOP : 1,
    );
    const headroom = isDropping || isLoopLate ? 0 : Math.sqrt(this.#limit);
    const target = this.#limit * gradient + headroom;
    this.#limit = this.#bounded(this.#limit + SMOOTHING * (target - this.#limit));
    // Before much is given up it is made sure that it is for something: see `weightOf` of the baseline.
    const isFarOff = ratio > this.#limits.latencyTolerance * FAR_OFF && now - this.#probedAt > this.#probeMs;
    if (isFarOff || this.#limit < this.#limitWhenProbed * PROBE_SHRUNK) this.#beginProbe();
  }

  #beginPeriod(): void {
    this.#period = this.#currentPeriod();
    if (!this.#isBaselineFresh) this.#beginProbe();
    this.#isBaselineFresh = false;
  }

  #learn(baselineIs: "guess" | "measured" | undefined): void {
    // What was guessed under load is measured as soon as possible.
    if (baselineIs === "guess") this.#beginProbe();
    if (baselineIs !== "measured") return;
    this.#isBaselineFresh = true;
    if (this.#probeEndsAt !== undefined) this.#endProbe();
  }

  get #probeMs(): number {
    return Math.max(this.#limits.baselineProbeMs, (this.#latencyMs ?? 0) * PROBE_LATENCIES);
  }

  #beginProbe(): void {
    this.#probeEndsAt = this.#clock.monotonic() + this.#probeMs;
  }

  #endProbe(): void {
    this.#probeEndsAt = undefined;
    this.#limitWhenProbed = this.#limit;
    this.#probedAt = this.#clock.monotonic();
    // What began under half of the limit tells nothing of the whole.
    this.#window.inFlightMax = 0;
  }

  #currentPeriod(): number {
    return Math.floor(this.#clock.now() / this.#limits.baselineEveryMs);
  }

  #bounded(limit: number): number {
    const { concurrencyMin, queriesMax } = this.#limits;
    return Math.min(queriesMax, Math.max(Math.min(concurrencyMin, queriesMax), limit));
  }
}
