/**
 * Who may ask the shards now, who waits, and who is told to come back.
 *
 *   slot free ──────────────▶ begin ──▶ asks shards ──▶ leave ──▶ the next one that waits
 *   none, queue not full ───▶ wait ──▶ begin
 *                               └─ its time is over, cancelled: leaves the queue
 *   none, queue full ───────▶ refused, with advice when to come again
 *
 * A slot is held while shards work for a query, not while its reader takes the answer. What is not a query never comes
 * here: health, metrics, lists, cancels and the admin port are answered in any load.
 */
import { Fault } from "../../fault/fault.ts";
import type { Clock, Randomness } from "../../process/clock.ts";
import { step } from "../../telemetry/step-channel.ts";
import type { AdmissionLimits } from "./admission-limits.ts";
import { ConcurrencyLimit, type QueryOutcome } from "./concurrency-limit.ts";
import { RetryAdvice } from "./retry-advice.ts";
import { ShortOfTime } from "./short-of-time.ts";
import { WaitingQueue } from "./waiting-queue.ts";

export interface Applicant {
  /** Its plan: latencies are compared with others of the same. */
  readonly method: object;
  /** In monotonic time. */
  readonly deadline: number;
  /** Takes it out of the queue at once. */
  readonly signal: AbortSignal;
}

export interface Slot {
  /** To be called once, in any case. */
  leave(outcome: QueryOutcome): void;
}

/** `full`: no place to wait; `deadline`: it would have passed before its turn; `waited`: its turn did not come. */
export type RefusalReason = "full" | "deadline" | "waited";

const REASONS: Readonly<Record<RefusalReason, string>> = {
  full: "no more may wait",
  deadline: "its deadline would pass before its turn",
  waited: "its turn did not come in time",
};

export interface AdmissionParts {
  readonly limits: AdmissionLimits;
  readonly clock: Clock;
  readonly randomness: Randomness;
  /** Mean delay of the event loop since the last call, in milliseconds. */
  readonly takeLoopDelay: () => number;
}

export class Admission {
  readonly refusals: Record<RefusalReason, number> = { full: 0, deadline: 0, waited: 0 };
  readonly #limits: AdmissionLimits;
  readonly #clock: Clock;
  readonly #limit: ConcurrencyLimit;
  readonly #queue: WaitingQueue;
  readonly #advice: RetryAdvice;
  #inFlight = 0;
  /** A short queue is often empty for a moment: what tells the end of overload is that nobody is refused any more. */
  #lastFullAt = Number.NEGATIVE_INFINITY;

  constructor({ limits, clock, randomness, takeLoopDelay }: AdmissionParts) {
    this.#limits = limits;
    this.#clock = clock;
    this.#limit = new ConcurrencyLimit(limits, clock, takeLoopDelay);
    this.#queue = new WaitingQueue(clock, limits.queueWaitMaxMs);
    this.#advice = new RetryAdvice(limits, clock, randomness);
  }

  get limit(): number {
    return this.#limit.value;
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  get waiting(): number {
    return this.#queue.length;
  }

  /**
   * For doors, before they read anything of a query: undefined, or in how many milliseconds a client that is refused
   * now shall come again. Costs nothing that a refused client could multiply.
   */
  turnAway(): number | undefined {
    return this.#isFull() ? this.#refused("full") : undefined;
  }

  /**
   * A slot, at once when one is free. Faults: `overloaded` (`ShortOfTime` when only its deadline is to blame), and whatever
   * the signal aborts with.
   */
  enter(applicant: Applicant): Slot | Promise<Slot> {
    if (this.#inFlight < this.#limit.value) return this.#begin(applicant);
    if (this.#isFull()) throw this.#refusal(Fault, "full");
    const waitMs = (this.#queue.length / this.#limit.answersPerSecond) * 1000;
    const spareMs = applicant.deadline - this.#clock.monotonic() - this.#limit.expectedMs(applicant.method);
    if (waitMs > spareMs) throw this.#refusal(ShortOfTime, "deadline");
    const { signal } = applicant;
    const Kind = spareMs < this.#limits.queueWaitMaxMs ? ShortOfTime : Fault;
    const patience = { withinMs: spareMs, signal, tooLate: () => this.#refusal(Kind, "waited") };
    return step("gateway", "admit", {}, () => this.#queue.wait(() => this.#begin(applicant), patience));
  }

  #isFull(): boolean {
    const waiting = this.#queue.length;
    // Whoever leaves serves the queue, and the limit grows only then: with a slot free nobody waits.
    if (this.#inFlight < this.#limit.value) return false;
    if (waiting >= this.#limits.queueMax) return true;
    if (waiting === 0) return false;
    const { queueStandingMs } = this.#limits;
    const isBurst =
      this.#queue.standingMs < queueStandingMs && this.#clock.monotonic() - this.#lastFullAt >= queueStandingMs;
    if (isBurst) return false;
    return waiting >= Math.max(1, (this.#limit.answersPerSecond * this.#limits.queueTargetMs) / 1000);
  }

  #begin({ method }: Applicant): Slot {
    this.#inFlight++;
    const cohort = this.#limit.begin(method, this.#inFlight);
    const startedAt = this.#clock.monotonic();
    let hasLeft = false;
    return {
      leave: (outcome) => {
        if (hasLeft) return;
        hasLeft = true;
        this.#inFlight--;
        this.#limit.end({ method, ms: this.#clock.monotonic() - startedAt, outcome, cohort });
        while (this.#queue.length > 0 && this.#inFlight < this.#limit.value) this.#queue.serveNext();
      },
    };
  }

  #refusal(Kind: typeof Fault, reason: RefusalReason): Fault {
    const text = `admit query: ${this.#inFlight} are under way, ${this.#queue.length} wait: ${REASONS[reason]}`;
    return new Kind("overloaded", text, { retryAfterMs: this.#refused(reason) });
  }

  /** Counts it; when to come again, in milliseconds. */
  #refused(reason: RefusalReason): number {
    this.refusals[reason]++;
    if (reason === "full") this.#lastFullAt = this.#clock.monotonic();
    return this.#advice.refused(this.#limit.answersPerSecond);
  }
}
