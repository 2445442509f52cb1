import type { Clock } from "../../../process/clock.ts";

/** One timer for the deadlines of all calls of a stream: it stands at the earliest that was heard of. */
export class CallDeadlines {
  readonly #clock: Clock;
  readonly #passed: (now: number) => number;
  #at = Number.POSITIVE_INFINITY;
  #cancel = () => {};

  /** `passed` ends the calls that are too late and returns the earliest deadline of the others, or Infinity. */
  constructor(clock: Clock, passed: (now: number) => number) {
    this.#clock = clock;
    this.#passed = passed;
  }

  /** In monotonic time. Deadlines of calls that end before need not be taken back. */
  add(deadline: number): void {
    if (deadline >= this.#at) return;
    this.#at = deadline;
    this.#cancel();
    const wait = Math.max(0, deadline - this.#clock.monotonic());
    this.#cancel = this.#clock.after(wait, () => this.#look());
  }

  stop(): void {
    this.#cancel();
  }

  #look(): void {
    this.#at = Number.POSITIVE_INFINITY;
    const next = this.#passed(this.#clock.monotonic());
    if (next < Number.POSITIVE_INFINITY) this.add(next);
  }
}
