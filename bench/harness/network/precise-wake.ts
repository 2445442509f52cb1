import { Worker } from "node:worker_threads";
import type { WakeMemory } from "./wake-thread.ts";

/** Calls back at a time to a tenth of a millisecond; timers know whole milliseconds only. */
export class PreciseWake {
  readonly #memory: WakeMemory = {
    changes: new Int32Array(new SharedArrayBuffer(4)),
    due: new Float64Array(new SharedArrayBuffer(8)),
  };
  readonly #thread: Worker;
  #next = Number.POSITIVE_INFINITY;

  constructor(wake: () => void) {
    this.#memory.due[0] = this.#next;
    this.#thread = new Worker(new URL("./wake-thread.ts", import.meta.url), { workerData: this.#memory });
    this.#thread.on("message", () => {
      this.#next = Number.POSITIVE_INFINITY;
      wake();
    });
  }

  /** By `now()` of this file; the earliest of several counts. */
  at(due: number): void {
    if (due >= this.#next) return;
    this.#next = due;
    this.#memory.due[0] = due;
    Atomics.add(this.#memory.changes, 0, 1);
    Atomics.notify(this.#memory.changes, 0);
  }

  close(): void {
    void this.#thread.terminate();
  }
}

/** The clock that the thread has, too. */
export function now(): number {
  return performance.timeOrigin + performance.now();
}
