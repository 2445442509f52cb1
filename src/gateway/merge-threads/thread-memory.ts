import { nextTurn } from "../../process/turn.ts";

/** Asked for at once, so that a merge that grows asks seldom. */
const STEP_BYTES = 64 * 1024;

/**
 * What a merge in a thread holds. The pool of all queries is the gateway's: what a slice has come to hold is asked for
 * before the next one runs, so a merge is ahead of what it was granted by one slice at most.
 */
export class ThreadMemory {
  readonly #ask: (bytes: number) => void;
  #held = 0;
  #granted = 0;
  #waiting: (() => void) | undefined;

  constructor(ask: (bytes: number) => void) {
    this.#ask = ask;
  }

  hold(bytes: number): void {
    this.#held += bytes;
  }

  get isShort(): boolean {
    return this.#held > this.#granted;
  }

  grant(bytes: number): void {
    this.#granted += bytes;
    this.wake();
  }

  /** Who waits for a grant looks again whether it is still wanted. */
  wake(): void {
    this.#waiting?.();
    this.#waiting = undefined;
  }

  /** Resolves when all that is held is granted. Rejects with the signal's reason. */
  async catchUp(signal: AbortSignal): Promise<void> {
    while (this.isShort) {
      signal.throwIfAborted();
      this.#ask(Math.ceil((this.#held - this.#granted) / STEP_BYTES) * STEP_BYTES);
      await new Promise<void>((resolve) => {
        this.#waiting = resolve;
      });
    }
    await nextTurn(signal);
  }
}
