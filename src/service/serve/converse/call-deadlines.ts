import type { Clock } from "../../../process/clock.ts";

/** Timers take no more than 2^31 ms; a longer deadline is looked at in between. */
const WAIT_MAX_MS = 3_600_000;

/**
 * Deadlines of the calls of a stream, all looked after by one timer: nearly every call ends long before its own, and a
 * timer for each would cost more than the rest of what is done for it.
 */
export class CallDeadlines {
  readonly #clock: Clock;
  readonly #expired: (id: number) => void;
  readonly #deadlines = new Map<number, number>();
  #wakesAt = Number.POSITIVE_INFINITY;
  #cancel: () => void = () => {};

  constructor(clock: Clock, expired: (id: number) => void) {
    this.#clock = clock;
    this.#expired = expired;
  }

  /** `at` in the clock's monotonic time. */
  add(id: number, at: number): void {
    this.#deadlines.set(id, at);
    if (at < this.#wakesAt) this.#wake(at);
  }

  remove(id: number): void {
    this.#deadlines.delete(id);
  }

  stop(): void {
    this.#cancel();
    this.#deadlines.clear();
  }

  #wake(at: number): void {
    this.#cancel();
    this.#wakesAt = at;
    const wait = Math.min(Math.max(0, at - this.#clock.monotonic()), WAIT_MAX_MS);
    this.#cancel = this.#clock.after(wait, () => this.#look());
  }

  #look(): void {
    this.#wakesAt = Number.POSITIVE_INFINITY;
    const now = this.#clock.monotonic();
    let next = Number.POSITIVE_INFINITY;
    for (const [id, at] of this.#deadlines) {
      if (at > now) {
        next = Math.min(next, at);
        continue;
      }
      this.#deadlines.delete(id);
      this.#expired(id);
    }
    if (next < this.#wakesAt) this.#wake(next);
  }
}
