export interface FramePaceOptions {
  /** Packs the next frame; undefined: nothing is to be sent. */
  readonly fill: () => Buffer | undefined;
  /** Sends a frame; false: the stream takes no more until `drained`. */
  readonly write: (frame: Buffer) => boolean;
  /** Runs work once all that this turn of the event loop brings has run: `setImmediate`. */
  readonly atEndOfTurn: (work: () => void) => void;
}

/**
 * When frames are written: at the end of each turn of the event loop in which something came to be sent, so that calls
 * of one turn share a frame; in an idle process that is at once. While the stream is full nothing is packed, so that
 * what comes meanwhile still has its turn and what is given up is not sent.
 */
export class FramePace {
  readonly #options: FramePaceOptions;
  #scheduled = false;
  #held = false;
  #stopped = false;
  #flushing = false;

  constructor(options: FramePaceOptions) {
    this.#options = options;
  }

  /** There is something to be sent. */
  wanted(): void {
    if (this.#scheduled || this.#held || this.#stopped || this.#flushing) return;
    this.#scheduled = true;
    this.#options.atEndOfTurn(() => {
      this.#scheduled = false;
      this.flush();
    });
  }

  /** Packs and writes until nothing is left or the stream is full. */
  flush(): void {
    this.#flushing = true;
    while (!this.#held && !this.#stopped) {
      const frame = this.#options.fill();
      if (frame === undefined) break;
      if (!this.#options.write(frame)) this.#held = true;
    }
    this.#flushing = false;
  }

  /** The stream takes frames again. */
  drained(): void {
    this.#held = false;
    this.flush();
  }

  /** Nothing is written any more. */
  stop(): void {
    this.#stopped = true;
  }
}
