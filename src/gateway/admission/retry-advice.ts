import type { Clock, Randomness } from "../../process/clock.ts";
import type { AdmissionLimits } from "./admission-limits.ts";

/** Refusals are counted over so long. */
const SPAN_MS = 1_000;

/**
 * When a refused client shall come again: when those that were refused lately can have been served, at the rate at
 * which queries are answered. Spread over as long again, so that they do not come back together.
 */
export class RetryAdvice {
  readonly #limits: AdmissionLimits;
  readonly #clock: Clock;
  readonly #randomness: Randomness;
  #spanStartedAt: number;
  #refused = 0;
  #refusedBefore = 0;

  constructor(limits: AdmissionLimits, clock: Clock, randomness: Randomness) {
    this.#limits = limits;
    this.#clock = clock;
    this.#randomness = randomness;
    this.#spanStartedAt = clock.monotonic();
  }

  /** Counts a refusal and returns its advice in milliseconds. */
  refused(answersPerSecond: number): number {
    const age = this.#clock.monotonic() - this.#spanStartedAt;
    if (age >= SPAN_MS) {
      this.#refusedBefore = age < 2 * SPAN_MS ? this.#refused : 0;
      this.#refused = 0;
      this.#spanStartedAt += age;
    }
    this.#refused++;
    const { retryAfterMs, retryAfterMaxMs } = this.#limits;
    const backlogMs = (Math.max(this.#refused, this.#refusedBefore) / answersPerSecond) * 1000;
    const least = Math.min(Math.max(backlogMs, retryAfterMs), retryAfterMaxMs / 2);
    return Math.round(least * (1 + this.#randomness.unit()));
  }
}
