import { Fault } from "../../fault/fault.ts";

/**
 * What all queries of a gateway hold together. Each has a ceiling of its own, but as many as may be under way at once
 * would fill any machine's memory at a fraction of theirs.
 */
export class MemoryPool {
  readonly #max: number;
  readonly #retryAfterMs: number;
  #held = 0;

  constructor(bytesMax: number, retryAfterMs: number) {
    this.#max = bytesMax;
    this.#retryAfterMs = retryAfterMs;
  }

  get held(): number {
    return this.#held;
  }

  /** The share of one query, empty at first. */
  open(): PooledMemory {
    let own = 0;
    const give = (bytes: number) => {
      own -= bytes;
      this.#held -= bytes;
    };
    return {
      take: (bytes) => {
        if (this.#held + bytes > this.#max) {
          const text = `answer query: the queries under way hold ${this.#held} of ${this.#max} bytes`;
          throw new Fault("overloaded", text, { retryAfterMs: this.#retryAfterMs });
        }
        own += bytes;
        this.#held += bytes;
      },
      give,
      giveAll: () => give(own),
    };
  }
}

export interface PooledMemory {
  /** Fault `overloaded`: nothing is taken. */
  take(bytes: number): void;
  give(bytes: number): void;
  giveAll(): void;
}
