import type { Slices } from "../../accumulator/sliced-sort.ts";
import { BYTES_PER_SLICE } from "./slice-bytes.ts";

/** Pieces put together, some bytes at a time. */
export function* joinPieces(pieces: readonly Uint8Array[]): Slices<Uint8Array> {
  const [only] = pieces;
  if (only !== undefined && pieces.length === 1) return only;
  const whole = Buffer.allocUnsafe(pieces.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  let since = 0;
  for (const piece of pieces) {
    for (let from = 0; from < piece.length; from += BYTES_PER_SLICE) {
      const part = piece.subarray(from, from + BYTES_PER_SLICE);
      if (since + part.length > BYTES_PER_SLICE) {
        since = 0;
        yield;
      }
      since += part.length;
      whole.set(part, at);
      at += part.length;
    }
  }
  return whole;
}
