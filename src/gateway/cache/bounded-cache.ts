import { type Entry, Fifo } from "./fifo.ts";
import { LatelyLeft } from "./lately-left.ts";

/**
 * Held for an entry beside its key and its value's bytes: the entry, its place in the map, the value's object and the
 * buffer behind it. Measured with Node 24; see README.md.
 */
const ENTRY_BYTES = 700;
/** No entry takes more of the cache. */
const ENTRY_SHARE = 1 / 16;
/** Of the bytes: where entries wait for a second use. */
const PROBATION_SHARE = 0.1;
const USES_MAX = 3;
/** So many entries in use are spared in a row; then the oldest goes, so that no turn becomes long. */
const SPARED_MAX = 32;
/** One remembered key for so many bytes of cache. */
const BYTES_PER_GHOST = 2048;

export interface CacheCounts {
  readonly entries: number;
  readonly bytes: number;
  /** Entries that others took the place of. */
  readonly evictions: number;
}

/**
 * A cache that never holds more than its bytes: S3-FIFO (Yang et al., SOSP 2023), with sizes.
 *
 * New entries are on probation in a small queue; asked for again they move to the main queue, otherwise they leave soon,
 * so that a scan of requests that nobody repeats passes through a tenth of the cache. A key that comes back after it
 * left goes to the main queue at once. In the main queue an entry in use is spared up to three times. All steps are
 * constant in time, and nothing is moved on a hit: a hit only counts.
 */
export class BoundedCache<V> {
  readonly #entries = new Map<string, Entry<V>>();
  readonly #probation = new Fifo<V>();
  readonly #main = new Fifo<V>();
  readonly #left: LatelyLeft;
  readonly #bytesMax: number;
  readonly #entryMax: number;
  #evictions = 0;

  constructor(bytesMax: number) {
    this.#left = new LatelyLeft(placesFor(bytesMax));
    this.#bytesMax = bytesMax - this.#left.bytes;
    this.#entryMax = Math.floor(this.#bytesMax * ENTRY_SHARE);
  }

  get counts(): CacheCounts {
    const bytes = this.#left.bytes + this.#probation.bytes + this.#main.bytes;
    return { entries: this.#entries.size, bytes, evictions: this.#evictions };
  }

  get(key: string): V | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    if (entry.uses < USES_MAX) entry.uses++;
    return entry.value;
  }

  /** Whether an entry of this size would be kept: asked before it is copied. */
  fits(key: string, valueBytes: number): boolean {
    return entryBytes(key, valueBytes) <= this.#entryMax;
  }

  /** Puts it in the place of what was there. False when it is too large to be kept. */
  set(key: string, value: V, valueBytes: number): boolean {
    const bytes = entryBytes(key, valueBytes);
    const known = this.#entries.get(key);
    if (known !== undefined) known.queue.remove(known);
    if (bytes > this.#entryMax) {
      this.#entries.delete(key);
      return false;
    }
    if (known !== undefined) {
      known.value = value;
      known.bytes = bytes;
      known.queue.push(known);
    } else {
      const queue = this.#isTrusted(key) ? this.#main : this.#probation;
      const entry: Entry<V> = { key, value, bytes, uses: 0, queue, older: undefined, newer: undefined };
      this.#entries.set(key, entry);
      queue.push(entry);
    }
    while (this.#probation.bytes + this.#main.bytes > this.#bytesMax) this.#evict();
    return true;
  }

  delete(key: string): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    entry.queue.remove(entry);
    this.#entries.delete(key);
  }

  /** A key that comes back; and as long as there is room for all, whoever finds no place on probation. */
  #isTrusted(key: string): boolean {
    return this.#evictions === 0 ? this.#isProbationFull : this.#left.has(key);
  }

  get #isProbationFull(): boolean {
    return this.#probation.bytes > this.#bytesMax * PROBATION_SHARE;
  }

  #evict(): void {
    const onProbation = this.#probation.oldest;
    if (onProbation !== undefined && (this.#isProbationFull || this.#main.oldest === undefined)) {
      this.#probation.remove(onProbation);
      if (onProbation.uses > 0) {
        onProbation.uses = 0;
        this.#main.push(onProbation);
      } else {
        this.#left.add(onProbation.key);
        this.#drop(onProbation);
      }
    } else {
      this.#evictFromMain();
    }
  }

  #evictFromMain(): void {
    let entry = this.#main.oldest as Entry<V>;
    this.#main.remove(entry);
    for (let spared = 0; entry.uses > 0 && spared < SPARED_MAX; spared++) {
      entry.uses--;
      this.#main.push(entry);
      entry = this.#main.oldest as Entry<V>;
      this.#main.remove(entry);
    }
    this.#drop(entry);
  }

  #drop(entry: Entry<V>): void {
    this.#entries.delete(entry.key);
    this.#evictions++;
  }
}

function entryBytes(key: string, valueBytes: number): number {
  return ENTRY_BYTES + key.length + valueBytes;
}

function placesFor(bytesMax: number): number {
  return 2 ** Math.max(0, Math.floor(Math.log2(bytesMax / BYTES_PER_GHOST)));
}
