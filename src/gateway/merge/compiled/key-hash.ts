/** Hashes of keys, 32 bits, a column at a time: each mixes what it sees into the hashes of the columns before it. */
import type { Column } from "./column.ts";

/** What stands for an absent value. */
const ABSENT = 0x2545f491;

/** Of the rows from `from` to `to`, the first of `hashes` being that of `from`. */
export function hashTexts(column: Column, from: number, to: number, hashes: Int32Array): void {
  const { bytes, view, start, end, has } = column;
  const isOptional = has.length > 0;
  const limit = bytes.length - 4;
  for (let row = from, i = 0; row < to; row++, i++) {
    if (isOptional && has[row] === 0) {
      hashes[i] = finished(mixed(hashes[i]!, ABSENT));
      continue;
    }
    let at = start[row]!;
    const last = end[row]!;
    let hash = hashes[i]! ^ (last - at);
    for (; at + 4 <= last; at += 4) hash = mixed(hash, view.getInt32(at, true));
    const rest = last - at;
    // Reads what follows the text, too, where there is something, and takes it off.
    if (at <= limit) hash = mixed(hash, view.getInt32(at, true) & ((1 << (8 * rest)) - 1));
    else {
      let word = 0;
      for (let byte = rest - 1; byte >= 0; byte--) word = (word << 8) | bytes[at + byte]!;
      hash = mixed(hash, word);
    }
    hashes[i] = finished(hash);
  }
}

export function hashIntegers(column: Column, from: number, to: number, hashes: Int32Array): void {
  const { values, has } = column;
  const isOptional = has.length > 0;
  for (let row = from, i = 0; row < to; row++, i++) {
    const value = values[row]!;
    const hash = hashes[i]!;
    if (isOptional && has[row] === 0) hashes[i] = finished(mixed(hash, ABSENT));
    else if (value === (value | 0)) hashes[i] = finished(mixed(hash, value));
    else hashes[i] = finished(hashWide(hash, column, row));
  }
}

function hashWide(hash: number, column: Column, row: number): number {
  const wide = column.integer(row);
  return mixed(mixed(hash, Number(BigInt.asIntN(32, wide))), Number(BigInt.asIntN(32, wide >> 32n)));
}

/** Murmur's step. */
function mixed(hash: number, word: number): number {
  const one = Math.imul(word, 0xcc9e2d51);
  const turned = hash ^ Math.imul((one << 15) | (one >>> 17), 0x1b873593);
  return (Math.imul((turned << 13) | (turned >>> 19), 5) + 0xe6546b64) | 0;
}

/** So that its lower bits are worth as much as its upper ones. */
function finished(hash: number): number {
  const half = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  return half ^ (half >>> 13);
}
