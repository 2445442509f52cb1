import type { Slices } from "../../../accumulator/sliced-sort.ts";
import type { Column } from "./column.ts";
import { compareIntegerRows } from "./fold.ts";
import { grownInParts } from "./grown-in-parts.ts";
import { hashIntegers, hashTexts } from "./key-hash.ts";
import type { Slot } from "./layout.ts";

const NONE = new Int32Array(0);
/** Room that is made at first, in rows. */
const ROWS_MIN = 32;
/** Numbers of a place: a quarter of a line of the processor's cache. */
const WIDTH = 4;
/** Put into their places between two pauses. */
const ROWS_PUT_PER_SLICE = 8192;
/** Rows that are looked for at once. */
export const FOUND_AT_ONCE = 4096;
/** Of them: nobody else runs in between. */
const CANDIDATES = new Int32Array(FOUND_AT_ONCE);

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
  /** By place: the hash, the row + 1 (0 is empty), and where the key begins and ends, if it is one text. */
  #places = NONE;
  #hashes = NONE;
  #parents = NONE;
  #rows = 0;
  /** Some group is not in the first row. */
  #isNested = false;

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
    for (let place = (WIDTH * hash) & mask; ; place = (place + WIDTH) & mask) {
      const row = places[place + 1]! - 1;
      if (row < 0) return -1;
      if (places[place] === hash && this.#isSame(input, i, row) && this.#parents[row] === parent) return row;
    }
  }

  /**
   * Finds what is easily found of the rows from `from` to `to`: their keys are where they are looked for first, and there
   * is one row around all groups. Others are -1. Two loops without a decision that depends on memory: the processor then
   * fetches many rows at once, which is most of what a table larger than its caches costs.
   */
  findFirst(hashes: Int32Array, input: readonly Column[], from: number, to: number, found: Int32Array): void {
    const places = this.#places;
    const mask = places.length - 1;
    if (this.#onlyText === undefined || this.#isNested || places.length === 0) {
      found.fill(-1, from, to);
      return;
    }
    const candidates = CANDIDATES;
    for (let at = 0; at < to - from; at++) {
      const hash = hashes[at]!;
      const place = (WIDTH * hash) & mask;
      candidates[at] = places[place] === hash ? place : -1;
    }
    const { start, end, view } = input[this.#onlyText]!;
    const { view: ours } = this.#columns[this.#onlyText]!;
    for (let i = from; i < to; i++) {
      const place = candidates[i - from]!;
      if (place < 0 || places[place + 1] === 0) found[i] = -1;
      else {
        const isSame = isSameRange(view, start[i]!, end[i]!, ours, places[place + 2]!, places[place + 3]!);
        found[i] = isSame ? places[place + 1]! - 1 : -1;
      }
    }
  }

  /** There must be room, and the row's key in the columns. */
  insert(hash: number, parent: number): number {
    const row = this.#rows++;
    this.#hashes[row] = hash;
    this.#parents[row] = parent;
    if (parent !== 0) this.#isNested = true;
    this.#put(row, hash);
    return row;
  }

  /** Makes room for so many rows, with pauses in which nobody may use it. */
  *growSlices(rows: number): Slices<void> {
    let size = ROWS_MIN;
    while (size < rows) size *= 2;
    if (size <= this.#hashes.length) return;
    const hashes = yield* grownInParts(this.#hashes, new Int32Array(size));
    this.#parents = yield* grownInParts(this.#parents, new Int32Array(size));
    this.#hashes = hashes;
    this.#places = new Int32Array(2 * WIDTH * size);
    for (let row = 0; row < this.#rows; row++) {
      this.#put(row, hashes[row]!);
      if (row % ROWS_PUT_PER_SLICE === ROWS_PUT_PER_SLICE - 1) yield;
    }
  }

  get parents(): Int32Array {
    return this.#parents;
  }

  #put(row: number, hash: number): void {
    const places = this.#places;
    const mask = places.length - 1;
    let place = (WIDTH * hash) & mask;
    while (places[place + 1] !== 0) place = (place + WIDTH) & mask;
    places[place] = hash;
    places[place + 1] = row + 1;
    if (this.#onlyText === undefined) return;
    const { start, end } = this.#columns[this.#onlyText]!;
    places[place + 2] = start[row]!;
    places[place + 3] = end[row]!;
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
  return isSameRange(a.view, a.start[i]!, a.end[i]!, b.view, b.start[j]!, b.end[j]!);
}

function isSameRange(
  left: DataView,
  begin: number,
  last: number,
  right: DataView,
  otherBegin: number,
  otherLast: number,
): boolean {
  if (last - begin !== otherLast - otherBegin) return false;
  let [from, other] = [begin, otherBegin];
  for (; from + 4 <= last; from += 4, other += 4) {
    if (left.getInt32(from, true) !== right.getInt32(other, true)) return false;
  }
  for (; from < last; from++, other++) if (left.getUint8(from) !== right.getUint8(other)) return false;
  return true;
}
