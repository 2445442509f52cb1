/**
 * Gathers what one turn of the event loop brings for all streams: work runs when the loop has gone through what it woke
 * up for. That is at once when it was one thing, so an idle gateway waits for nothing.
 */
export class TurnEnd {
  #waiting: (() => void)[] = [];
  readonly #runAll = () => {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const work of waiting) work();
  };
  /** Bound, to be handed on. */
  readonly run = (work: () => void): void => {
    if (this.#waiting.push(work) === 1) setImmediate(this.#runAll);
  };
}
