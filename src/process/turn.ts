import { setImmediate } from "node:timers/promises";
import type { Clock } from "./clock.ts";

/**
 * Turns of the event loop. JavaScript that runs for a second holds up everything else of its process for a second:
 * other queries, cancellations, the health check. So long work is done in slices, with a turn between two of them.
 */

/** Half of what the event loop may be held for: a slice may overrun by one step of the work. */
const SLICE_MS = 1;

/** Lets everything that waits on the event loop run once. Rejects with the signal's reason when it has aborted. */
export async function nextTurn(signal?: AbortSignal): Promise<void> {
  await setImmediate();
  signal?.throwIfAborted();
}

/**
 * Runs work that pauses often, with a turn of the event loop about every millisecond. Work that takes less is done when
 * this returns, which needs no promise; a promise rejects like `nextTurn`.
 */
export function inSlices<T>(slices: Generator<void, T, void>, clock: Clock, signal?: AbortSignal): T | Promise<T> {
  const slice = nextSlices(slices, clock);
  return slice.done ? slice.value : restInSlices(slices, clock, signal);
}

async function restInSlices<T>(slices: Generator<void, T, void>, clock: Clock, signal?: AbortSignal): Promise<T> {
  for (;;) {
    await nextTurn(signal);
    const slice = nextSlices(slices, clock);
    if (slice.done) return slice.value;
  }
}

/** Runs it until a turn is due, or until it is done. */
function nextSlices<T>(slices: Generator<void, T, void>, clock: Clock): IteratorResult<void, T> {
  const until = clock.monotonic() + SLICE_MS;
  for (;;) {
    const slice = slices.next();
    if (slice.done || clock.monotonic() >= until) return slice;
  }
}
