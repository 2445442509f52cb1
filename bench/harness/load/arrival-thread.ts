/**
 * Wakes the load generator when a request is due. A thread of its own that sleeps in `Atomics.wait` keeps to a tenth of a
 * millisecond; timers would gather all arrivals of a millisecond in one turn, which flatters whoever packs calls.
 */
import { parentPort, workerData } from "node:worker_threads";
import { numbersFrom } from "../service/drawn-groups.ts";

export interface ArrivalJob {
  readonly ratePerSecond: number;
  readonly seconds: number;
  readonly seed: number;
}

/** Milliseconds from the start at which a request was due; the end of the schedule is `undefined`. */
export type Arrival = { readonly dueMs: number } | undefined;

const { ratePerSecond, seconds, seed } = workerData as ArrivalJob;
const next = numbersFrom(seed, 0xa221);
const sleeping = new Int32Array(new SharedArrayBuffer(4));
const startedAt = performance.timeOrigin + performance.now();
const elapsedMs = () => performance.timeOrigin + performance.now() - startedAt;

parentPort?.postMessage({ startedAt });
// The first is due at once, so that the shortest run has one; the gaps after it are exponential: Poisson.
for (let dueMs = 0; dueMs <= seconds * 1000; dueMs += (-Math.log((next() + 0.5) / 2 ** 32) * 1000) / ratePerSecond) {
  const waitMs = dueMs - elapsedMs();
  if (waitMs > 0) Atomics.wait(sleeping, 0, 0, waitMs);
  parentPort?.postMessage({ dueMs });
}
parentPort?.postMessage(undefined);
