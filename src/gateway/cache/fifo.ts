/** An entry of a cache, and its place in one of its queues. */
export interface Entry<V> {
  readonly key: string;
  value: V;
  /** Counted for it: key, value, and what it takes to hold them. */
  bytes: number;
  /** How often it was asked for since it came or was last spared, up to three. */
  uses: number;
  queue: Fifo<V>;
  older: Entry<V> | undefined;
  newer: Entry<V> | undefined;
}

/** First in, first out, and out of the middle too; every step in constant time. */
export class Fifo<V> {
  bytes = 0;
  #oldest: Entry<V> | undefined;
  #newest: Entry<V> | undefined;

  get oldest(): Entry<V> | undefined {
    return this.#oldest;
  }

  push(entry: Entry<V>): void {
    entry.queue = this;
    entry.older = this.#newest;
    entry.newer = undefined;
    if (this.#newest === undefined) this.#oldest = entry;
    else this.#newest.newer = entry;
    this.#newest = entry;
    this.bytes += entry.bytes;
  }

  remove(entry: Entry<V>): void {
    if (entry.older === undefined) this.#oldest = entry.newer;
    else entry.older.newer = entry.newer;
    if (entry.newer === undefined) this.#newest = entry.older;
    else entry.newer.older = entry.older;
    this.bytes -= entry.bytes;
  }
}
