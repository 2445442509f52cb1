import { type FSWatcher, watch } from "node:fs";
import type { Clock } from "../../process/clock.ts";

/** File systems without notices (network mounts) and missed ones: a waiting reader looks again this often. */
const LOOK_AGAIN_MS = 250;

/**
 * Wakes who waits for a file to change. `changes` is read before looking at the file and handed to `wait`, so a change
 * between look and wait is not missed.
 */
export class ChangeWatch {
  readonly #path: string;
  readonly #clock: Clock;
  readonly #waiting = new Set<() => void>();
  #watcher: FSWatcher | undefined;
  #changes = 0;

  constructor(path: string, clock: Clock) {
    this.#path = path;
    this.#clock = clock;
  }

  get changes(): number {
    return this.#changes;
  }

  /** Begins to watch; before the first call every wait ends by time alone. */
  start(): void {
    if (this.#watcher !== undefined) return;
    try {
      this.#watcher = watch(this.#path, { persistent: false }, () => this.wakeAll());
      // A notice service that fails leaves the look at intervals, which is slower and right.
      this.#watcher.on("error", () => this.#watcher?.close());
    } catch {
      this.#watcher = undefined;
    }
  }

  /** Resolves on a change after `seen`, after `ms`, on abort, or when it is time to look again. Never rejects. */
  wait(seen: number, ms: number, signal: AbortSignal): Promise<void> {
    if (seen !== this.#changes || signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const wake = () => {
        cancel();
        signal.removeEventListener("abort", wake);
        this.#waiting.delete(wake);
        resolve();
      };
      const cancel = this.#clock.after(Math.min(ms, LOOK_AGAIN_MS), wake);
      signal.addEventListener("abort", wake, { once: true });
      this.#waiting.add(wake);
    });
  }

  wakeAll(): void {
    this.#changes++;
    for (const wake of [...this.#waiting]) wake();
  }

  close(): void {
    this.#watcher?.close();
    this.#watcher = undefined;
    this.wakeAll();
  }
}
