import type { Clock } from "./clock.ts";

/**
 * What pieces of work may take of one turn of the event loop together, in milliseconds. With 2 ms answers left in so many
 * small groups that the calls of the next queries no longer shared frames: bench/RESULTS.md, "Scatter".
 */
const TURN_MS = 8;

/**
 * Short pieces of work that become ready at the same time, worked off in the order they came: each with all that follows
 * of it without waiting, before the next begins, and no more in one turn of the event loop than eight milliseconds of them,
 * so that sockets and timers have their turn as well.
 *
 *     turn:  A ─ what A led to ─ B ─ what B led to ─ … 8 ms │ sockets, timers │ C ─ …
 *
 * Promises alone would run the first step of each, then the second step of each, with the tables of all of them going
 * through the processor's caches for every step. Where nothing else is ready, work is done at once.
 */
export class TurnQueue {
  readonly #clock: Clock;
  #waiting: (() => void)[] = [];
  /** Of the first that waits. */
  #at = 0;
  /** What was begun may have more to do in this turn. */
  #isBusy = false;
  #until = Number.NEGATIVE_INFINITY;
  #isTurnCounted = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** `work` must not throw. */
  enter(work: () => void): void {
    if (this.#isBusy) this.#waiting.push(work);
    else this.#begin(work);
  }

  #begin(work: () => void): void {
    this.#isBusy = true;
    if (!this.#isTurnCounted) {
      this.#isTurnCounted = true;
      this.#until = this.#clock.monotonic() + TURN_MS;
      setImmediate(this.#newTurn);
    }
    queueMicrotask(this.#afterPromises);
    work();
  }

  /** Ticks run when no promise has anything left to do: then the work and all that followed of it are done, or wait. */
  readonly #afterPromises = (): void => process.nextTick(this.#next);

  readonly #next = (): void => {
    const work = this.#waiting[this.#at];
    if (work === undefined) {
      this.#isBusy = false;
      this.#waiting = [];
      this.#at = 0;
    } else if (!this.#isTurnCounted || this.#clock.monotonic() < this.#until) {
      this.#at++;
      this.#begin(work);
    }
  };

  readonly #newTurn = (): void => {
    this.#isTurnCounted = false;
    if (this.#isBusy) this.#next();
  };
}
