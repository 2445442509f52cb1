import type { Slices } from "../../../accumulator/sliced-sort.ts";

/** Elements copied between two pauses: some tens of microseconds, with the memory's first touch. */
const ELEMENTS_PER_SLICE = 32_768;

/** What is smaller is copied with what comes next. */
const PAUSED_MIN = 4096;

type Numbers = Float64Array | Int32Array | Uint8Array;

/** Copies what there is into a larger array; what is behind it is `rest`. Nobody may write to the old one meanwhile. */
export function* grownInParts<T extends Numbers>(old: T, larger: T, rest = 0): Slices<T> {
  for (let at = 0; at < old.length; at += ELEMENTS_PER_SLICE) {
    larger.set(old.subarray(at, at + ELEMENTS_PER_SLICE) as never, at);
    if (old.length >= PAUSED_MIN) yield;
  }
  if (rest === 0) return larger;
  for (let at = old.length; at < larger.length; at += ELEMENTS_PER_SLICE) {
    larger.fill(rest, at, at + ELEMENTS_PER_SLICE);
    if (larger.length >= PAUSED_MIN) yield;
  }
  return larger;
}
