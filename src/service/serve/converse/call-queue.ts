import type { Clock } from "../../../process/clock.ts";

/** Half of what the event loop may be held for: the last call of a turn may overrun it. */
const TURN_MS = 1;

/**
 * Calls that wait for their handlers to begin. A frame brings many at once, and several streams bring frames in one
 * turn of the event loop: together they begin for about a millisecond of it, the rest in the next turns.
 */
export class CallQueue {
  readonly #clock: Clock;
  readonly #atEndOfTurn: (work: () => void) => void;
  #waiting: (() => void)[] = [];
  #turnUntil: number | undefined;

  constructor(clock: Clock, atEndOfTurn: (work: () => void) => void) {
    this.#clock = clock;
    this.#atEndOfTurn = atEndOfTurn;
  }

  push(begin: () => void): void {
    if (this.#turnUntil === undefined) this.#newTurn();
    if (this.#waiting.length === 0 && this.#hasTime()) begin();
    else this.#waiting.push(begin);
  }

  #newTurn(): void {
    this.#turnUntil = this.#clock.monotonic() + TURN_MS;
    this.#atEndOfTurn(() => {
      this.#turnUntil = undefined;
      if (this.#waiting.length > 0) this.#beginWaiting();
    });
  }

  #beginWaiting(): void {
    this.#newTurn();
    let begun = 0;
    while (begun < this.#waiting.length && this.#hasTime()) this.#waiting[begun++]?.();
    this.#waiting = this.#waiting.slice(begun);
  }

  #hasTime(): boolean {
    return this.#clock.monotonic() < (this.#turnUntil as number);
  }
}
