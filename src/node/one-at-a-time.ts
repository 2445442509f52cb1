import { Fault } from "../fault/fault.ts";

/** Runs pieces of work one after another, in the order asked for; more than `waitingMax` waiting are refused. */
export class OneAtATime {
  readonly #what: string;
  readonly #waitingMax: number;
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  constructor(what: string, waitingMax: number) {
    this.#what = what;
    this.#waitingMax = waitingMax;
  }

  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#waiting >= this.#waitingMax) {
      throw new Fault("overloaded", `${this.#what}: ${this.#waiting} requests are waiting already`);
    }
    this.#waiting += 1;
    const turn = this.#last.then(work);
    // The next one waits for the end of this one, not for its success.
    this.#last = turn.catch(() => {});
    try {
      return await turn;
    } finally {
      this.#waiting -= 1;
    }
  }
}
