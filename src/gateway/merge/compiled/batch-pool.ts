import { Batch } from "./batch.ts";
import type { Layout } from "./layout.ts";

/** Of one response's layout. */
const BATCHES_MAX = 512;
/** A larger batch costs little beside what is in it, and is not worth holding on to. */
const BYTES_MAX = 8192;

/**
 * Batches of answers that are made, to be used for others: where a partial has few rows, making the arrays for them takes
 * longer than reading them. Batches are empty here. One that is not given back is no loss.
 */
export class BatchPool {
  readonly #layout: Layout;
  readonly #free: Batch[] = [];

  constructor(layout: Layout) {
    this.#layout = layout;
  }

  take(): Batch {
    return this.#free.pop() ?? new Batch(this.#layout);
  }

  /** Nobody may use the batch any more. */
  give(batch: Batch): void {
    if (this.#free.length >= BATCHES_MAX || batch.bytes() > BYTES_MAX) return;
    batch.clear();
    this.#free.push(batch);
  }
}
