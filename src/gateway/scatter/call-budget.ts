import type { Clock } from "../../process/clock.ts";
import type { BudgetPolicy, ScatterPolicy } from "./scatter-policy.ts";

/**
 * What calls beyond the first may cost: a bucket of tokens to which each question adds a share of one. Over any stretch of
 * n questions and t seconds at most `burst + share × n + perSecond × t` are taken, so load cannot multiply itself.
 */
export class CallBudget {
  readonly #policy: BudgetPolicy;
  readonly #clock: Clock;
  #tokens: number;
  #refilledAt: number;

  constructor(policy: BudgetPolicy, clock: Clock) {
    this.#policy = policy;
    this.#clock = clock;
    this.#tokens = policy.burst;
    this.#refilledAt = clock.monotonic();
  }

  earn(): void {
    this.#tokens = Math.min(this.#policy.burst, this.#tokens + this.#policy.share);
  }

  take(): boolean {
    if (this.#policy.perSecond > 0) {
      const now = this.#clock.monotonic();
      const earned = ((now - this.#refilledAt) / 1000) * this.#policy.perSecond;
      this.#tokens = Math.min(this.#policy.burst, this.#tokens + earned);
      this.#refilledAt = now;
    }
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }

  /** Less than half is there. */
  get isScarce(): boolean {
    return this.#tokens < this.#policy.burst / 2;
  }
}

/** Three that do not draw on one another: one dead stream takes no hedge or retry from the other shards. */
export class AskBudgets {
  /** Hedges and audits. */
  readonly extra: CallBudget;
  readonly retry: CallBudget;
  readonly failover: CallBudget;

  constructor(policy: Pick<ScatterPolicy, "extra" | "retry" | "failover">, clock: Clock) {
    this.extra = new CallBudget(policy.extra, clock);
    this.retry = new CallBudget(policy.retry, clock);
    this.failover = new CallBudget(policy.failover, clock);
  }

  /** For each question. */
  earn(): void {
    this.extra.earn();
    this.retry.earn();
    this.failover.earn();
  }
}
