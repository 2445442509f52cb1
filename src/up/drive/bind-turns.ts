import { availableParallelism } from "node:os";
import { type Clock, sleep } from "../../process/clock.ts";
import { FewAtATime } from "../../process/few-at-a-time.ts";

/** Then the next may begin all the same: a service that hangs keeps nobody else's snapshots away. */
export const BIND_TURN_MS = 5_000;

/**
 * Binds take turns, as many at a time as there are cores: a load uses the machine to its full and takes several times the
 * memory of the state it makes, so more of them at a time would need more memory and be no sooner done.
 */
export class BindTurns {
  readonly #clock: Clock;
  readonly #turns: FewAtATime;

  constructor(clock: Clock, atOnce = Math.max(2, availableParallelism())) {
    this.#clock = clock;
    this.#turns = new FewAtATime(atOnce);
  }

  /** Ends as `bind` does, however long that takes; its turn is over sooner. */
  async run(signal: AbortSignal, bind: () => Promise<void>): Promise<void> {
    let bound: Promise<void> | undefined;
    await this.#turns.run(signal, async () => {
      const turn = new AbortController();
      bound = bind().finally(() => turn.abort());
      // That it failed is told below.
      bound.catch(() => {});
      await sleep(this.#clock, BIND_TURN_MS, turn.signal).catch(() => {});
    });
    await bound;
  }
}
