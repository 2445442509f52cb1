/** Sleeps until the time that stands in the shared memory, posts a message, and waits for the next one. */
import { parentPort, workerData } from "node:worker_threads";

/** `[0]` counts changes of `due`. */
export interface WakeMemory {
  readonly changes: Int32Array;
  /** `[0]`: milliseconds since the epoch, with fractions; Infinity: nothing is due. */
  readonly due: Float64Array;
}

const { changes, due } = workerData as WakeMemory;
const now = () => performance.timeOrigin + performance.now();

for (;;) {
  const seen = Atomics.load(changes, 0);
  const until = due[0] as number;
  const waitMs = until - now();
  if (waitMs > 0) {
    Atomics.wait(changes, 0, seen, waitMs);
    continue;
  }
  parentPort?.postMessage(undefined);
  Atomics.wait(changes, 0, seen);
}
