import { nextTurn } from "../process/turn.ts";

export { nextTurn };

/**
 * A handler that runs for longer holds up every other call of the process, the health check included. So long loops run
 * in slices and let the event loop turn between two:
 *
 *     await sliced(rows, call.signal, (from, to) => {
 *       for (let row = from; row < to; row++) total += state.delay[row]!;
 *     });
 *
 * `load` has no signal and passes undefined. The default is a fraction of a millisecond for a loop of a few nanoseconds
 * a row; give `rowsPerSlice` where a row costs more, so that a slice stays below 2 ms.
 */
export async function sliced(
  rows: number,
  signal: AbortSignal | undefined,
  body: (from: number, to: number) => void,
  rowsPerSlice = ROWS_PER_SLICE,
): Promise<void> {
  for (let from = 0; from < rows; from += rowsPerSlice) {
    if (from > 0) await nextTurn(signal);
    body(from, Math.min(rows, from + rowsPerSlice));
  }
}

export const ROWS_PER_SLICE = 1 << 16;
