import { setImmediate } from "node:timers/promises";
import type { Slices } from "../accumulator/sliced-sort.ts";
import type { Clock } from "../process/clock.ts";

/** Half of what the event loop may be held for: a slice may overrun by one step of the merge. */
const SLICE_MS = 1;

/** Merging a million groups takes a second; other queries wait for a slice of it at most. */
export async function inSlices<T>(slices: Slices<T>, clock: Clock): Promise<T> {
  for (let until = clock.monotonic() + SLICE_MS; ; ) {
    const turn = slices.next();
    if (turn.done) return turn.value;
    if (clock.monotonic() < until) continue;
    await setImmediate();
    until = clock.monotonic() + SLICE_MS;
  }
}
