/** Bounds what a pod works on at once, so that a mesh has a capacity that is known and no matter of processors. */
export class PodSlots {
  #busy = 0;
  readonly #waiting: (() => void)[] = [];

  /** `slots` 0: no bound. */
  async work<T>(slots: number, work: () => Promise<T>): Promise<T> {
    if (slots > 0 && this.#busy >= slots) await new Promise<void>((begin) => this.#waiting.push(begin));
    else this.#busy++;
    try {
      return await work();
    } finally {
      // The slot is the next one's, who is not counted again.
      const next = this.#waiting.shift();
      if (next === undefined) this.#busy--;
      else next();
    }
  }
}
