import type { Column } from "./column.ts";
import { compareIntegerRows } from "./fold.ts";
import type { Slot } from "./layout.ts";

/**
 * Finds rows by their keys: open addressing over hashes of the keys' bytes. A key is never a string here.
 *
 * A key is told by the values of its slots and by the row around the group, since groups may stand inside of groups.
 */
export class KeyIndex {
  readonly #slots: readonly Slot[];
  readonly #columns: readonly Column[];
  /** Row + 1 by place; 0 is empty. */
  #places = new Int32Array(64);
  #hashes = new Int32Array(32);
  #parents = new Int32Array(32);
  #rows = 0;

  /** Keys are compared with what `columns` has of them. */
  constructor(slots: readonly Slot[], columns: readonly Column[]) {
    this.#slots = slots;
    this.#columns = columns;
  }

  /** The row of that key, or −1 − hash where there is none. */
  find(input: readonly Column[], i: number, parent: number): number {
    const hash = this.#hash(input, i, parent);
    const mask = this.#places.length - 1;
    for (let place = hash & mask; ; place = (place + 1) & mask) {
      const row = this.#places[place]! - 1;
      if (row < 0) return -1 - hash;
      if (this.#hashes[row] === hash && this.#parents[row] === parent && this.#isSame(input, i, row)) return row;
    }
  }

  /** `missing`: what `find` said. The row's key must be in the columns by the next `find`. */
  insert(missing: number, parent: number): number {
    const hash = -1 - missing;
    const row = this.#rows++;
    if (row === this.#hashes.length) this.#grow();
    this.#hashes[row] = hash;
    this.#parents[row] = parent;
    this.#put(row, hash);
    return row;
  }

  get parents(): Int32Array {
    return this.#parents;
  }

  #put(row: number, hash: number): void {
    const mask = this.#places.length - 1;
    let place = hash & mask;
    while (this.#places[place] !== 0) place = (place + 1) & mask;
    this.#places[place] = row + 1;
  }

  #grow(): void {
    const size = 2 * this.#hashes.length;
    const [hashes, parents] = [new Int32Array(size), new Int32Array(size)];
    hashes.set(this.#hashes);
    parents.set(this.#parents);
    [this.#hashes, this.#parents] = [hashes, parents];
    this.#places = new Int32Array(2 * size);
    for (let row = 0; row < this.#rows - 1; row++) this.#put(row, hashes[row]!);
  }

  /** Not negative. */
  #hash(input: readonly Column[], i: number, parent: number): number {
    let hash = parent ^ 0x5bd1e995;
    for (const { index } of this.#slots) {
      const column = input[index]!;
      if (column.has.length > 0 && column.has[i] === 0) hash = mixed(hash, 0x2545f491);
      else if (column.type === "text") hash = hashBytes(hash, column.bytes, column.start[i]!, column.end[i]!);
      else hash = hashInteger(hash, column, i);
    }
    hash ^= hash >>> 16;
    hash = Math.imul(hash, 0x7feb352d);
    hash ^= hash >>> 15;
    return hash & 0x7fffffff;
  }

  #isSame(input: readonly Column[], i: number, row: number): boolean {
    for (const { index } of this.#slots) {
      const [theirs, ours] = [input[index]!, this.#columns[index]!];
      if (theirs.has.length > 0) {
        if (theirs.has[i] !== ours.has[row]) return false;
        if (theirs.has[i] === 0) continue;
      }
      const isEqual =
        theirs.type === "text" ? isSameText(theirs, i, ours, row) : compareIntegerRows(theirs, i, ours, row) === 0;
      if (!isEqual) return false;
    }
    return true;
  }
}

function isSameText(a: Column, i: number, b: Column, j: number): boolean {
  const [from, other] = [a.start[i]!, b.start[j]!];
  const length = a.end[i]! - from;
  if (length !== b.end[j]! - other) return false;
  const [left, right] = [a.bytes, b.bytes];
  for (let at = 0; at < length; at++) if (left[from + at] !== right[other + at]) return false;
  return true;
}

function mixed(hash: number, word: number): number {
  const one = Math.imul(word, 0x85ebca6b);
  const turned = hash ^ Math.imul((one << 15) | (one >>> 17), 0xc2b2ae35);
  return (Math.imul((turned << 13) | (turned >>> 19), 5) + 0x6b64e654) | 0;
}

function hashBytes(seed: number, bytes: Uint8Array, start: number, end: number): number {
  let hash = seed;
  let at = start;
  for (; at + 4 <= end; at += 4) {
    hash = mixed(hash, bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24));
  }
  let rest = end - start;
  for (; at < end; at++) rest = Math.imul(rest, 257) + bytes[at]!;
  return mixed(hash, rest);
}

function hashInteger(seed: number, column: Column, i: number): number {
  const value = column.values[i]!;
  if (value === (value | 0)) return mixed(seed, value);
  if (!Number.isNaN(value)) return mixed(mixed(seed, value | 0), Math.floor(value / 0x100000000) | 0);
  const wide = column.integer(i);
  return mixed(mixed(seed, Number(BigInt.asIntN(32, wide))), Number(BigInt.asIntN(32, wide >> 32n)));
}
