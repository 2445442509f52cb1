import type { Column } from "./column.ts";
import { compareIntegerRows } from "./fold.ts";
import { hashIntegers, hashTexts } from "./key-hash.ts";
import type { Slot } from "./layout.ts";

const NONE = new Int32Array(0);
/** Room that is made at first, in rows. */
const ROWS_MIN = 32;

/**
 * Finds rows by their keys: open addressing over hashes of the keys' bytes. A key is never a string here.
 *
 * A key is told by the values of its slots and by the row around the group, since groups may stand inside of groups.
 */
export class KeyIndex {
  readonly #slots: readonly Slot[];
  readonly #columns: readonly Column[];
  /** The key's column where it is one text that is always there, as most keys are. */
  readonly #onlyText: number | undefined;
  /** A hash and its row + 1 by place; 0 is empty. */
  #places = NONE;
  #hashes = NONE;
  #parents = NONE;
  #rows = 0;

  /** Keys are compared with what `columns` has of them. */
  constructor(slots: readonly Slot[], columns: readonly Column[]) {
    this.#slots = slots;
    this.#columns = columns;
    const [slot] = slots;
    this.#onlyText = slots.length === 1 && slot?.type === "text" && !slot.isOptional ? slot.index : undefined;
  }

  /** Hashes of some rows' keys; `hashes` begins with the rows around them, in whose place they are put. */
  hash(input: readonly Column[], from: number, to: number, hashes: Int32Array): void {
    for (const { index } of this.#slots) {
      const column = input[index]!;
      if (column.type === "text") hashTexts(column, from, to, hashes);
      else hashIntegers(column, from, to, hashes);
    }
  }

  /** Of a row that is here. */
  hashOf(row: number): number {
    return this.#hashes[row]!;
  }

  /** The row of that key; negative where there is none. There must be room already. */
  find(hash: number, input: readonly Column[], i: number, parent: number): number {
    const places = this.#places;
    const mask = places.length - 1;
    for (let place = (2 * hash) & mask; ; place = (place + 2) & mask) {
      const row = places[place + 1]! - 1;
      if (row < 0) return -1;
      if (places[place] === hash && this.#isSame(input, i, row) && this.#parents[row] === parent) return row;
    }
  }

  /** The row's key must be in the columns by the next `find`. */
  insert(hash: number, parent: number): number {
    const row = this.#rows++;
    if (row === this.#hashes.length) this.#grow();
    this.#hashes[row] = hash;
    this.#parents[row] = parent;
    this.#put(row, hash);
    return row;
  }

  /** Makes room for so many rows at once, while there are none. */
  reserve(rows: number): void {
    let size = ROWS_MIN;
    while (size < rows) size *= 2;
    if (size <= this.#hashes.length) return;
    this.#hashes = new Int32Array(size);
    this.#parents = new Int32Array(size);
    this.#places = new Int32Array(4 * size);
  }

  get parents(): Int32Array {
    return this.#parents;
  }

  #put(row: number, hash: number): void {
    const places = this.#places;
    const mask = places.length - 1;
    let place = (2 * hash) & mask;
    while (places[place + 1] !== 0) place = (place + 2) & mask;
    places[place] = hash;
    places[place + 1] = row + 1;
  }

  #grow(): void {
    const size = 2 * this.#hashes.length;
    const [hashes, parents] = [new Int32Array(size), new Int32Array(size)];
    hashes.set(this.#hashes);
    parents.set(this.#parents);
    [this.#hashes, this.#parents] = [hashes, parents];
    this.#places = new Int32Array(4 * size);
    for (let row = 0; row < this.#rows - 1; row++) this.#put(row, hashes[row]!);
  }

  #isSame(input: readonly Column[], i: number, row: number): boolean {
    if (this.#onlyText !== undefined) return isSameText(input[this.#onlyText]!, i, this.#columns[this.#onlyText]!, row);
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
  let from = a.start[i]!;
  let other = b.start[j]!;
  const last = a.end[i]!;
  if (last - from !== b.end[j]! - other) return false;
  const left = a.view;
  const right = b.view;
  for (; from + 4 <= last; from += 4, other += 4) {
    if (left.getInt32(from, true) !== right.getInt32(other, true)) return false;
  }
  for (; from < last; from++, other++) if (left.getUint8(from) !== right.getUint8(other)) return false;
  return true;
}
