import { type Slices, unsliced } from "../../../accumulator/sliced-sort.ts";
import type { Column } from "./column.ts";

/**
 * Growth of a table in parts. Partials are merged in turns, and while arrays are copied nobody may write to the old ones:
 * so whoever wants to use the table first takes part in the growth that is under way, by whomever it was begun.
 */
export class SharedGrowth {
  #underWay: Slices<void> | undefined;

  get isUnderWay(): boolean {
    return this.#underWay !== undefined;
  }

  /** Grows until it is enough; without a pause behind the last look, so that it still is when this ends. */
  *until(isEnough: () => boolean, grow: () => Slices<void>): Slices<void> {
    while (this.#underWay !== undefined || !isEnough()) {
      this.#underWay ??= grow();
      if (this.#underWay.next().done) this.#underWay = undefined;
      else yield;
    }
  }

  /** Ends what is under way at once. */
  finish(): void {
    if (this.#underWay !== undefined) unsliced(this.until(() => true, noGrowth));
  }

  /** The same with pauses. */
  finishSlices(): Slices<void> {
    return this.until(() => true, noGrowth);
  }
}

function* noGrowth(): Slices<void> {}

/** Texts copied between two pauses. */
const TEXT_BYTES_PER_SLICE = 256 * 1024;

/** Where to pause among rows whose texts are copied: one row at least, `most` at most. */
export function rowsWithText({ start, end }: Column, from: number, most: number): number {
  let bytes = 0;
  for (let i = from; i < most; i++) {
    bytes += end[i]! - start[i]!;
    if (bytes > TEXT_BYTES_PER_SLICE) return Math.max(from + 1, i);
  }
  return most;
}

/** Bytes of the texts of some rows. */
export function textBytes({ start, end }: Column, from: number, to: number): number {
  let bytes = 0;
  for (let i = from; i < to; i++) bytes += end[i]! - start[i]!;
  return bytes;
}
