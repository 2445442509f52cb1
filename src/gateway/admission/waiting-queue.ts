import type { Clock } from "../../process/clock.ts";

interface Entry {
  readonly since: number;
  /** Out of the queue, with what it waited for. */
  readonly serve: () => void;
}

export interface Patience {
  readonly withinMs: number;
  readonly signal: AbortSignal;
  /** What the wait rejects with when its time is over. */
  readonly tooLate: () => unknown;
}

/**
 * Queries that wait for a place. First come, first served, until the oldest has waited for half of the time that it may:
 * then the queue moves too slowly to serve all, and the newest is served first, since it has the most time left. The
 * oldest leave by themselves when their time is over.
 */
export class WaitingQueue {
  readonly #clock: Clock;
  readonly #waitMaxMs: number;
  /** Oldest first. */
  readonly #entries: Entry[] = [];
  #standingSince = 0;

  constructor(clock: Clock, waitMaxMs: number) {
    this.#clock = clock;
    this.#waitMaxMs = waitMaxMs;
  }

  get length(): number {
    return this.#entries.length;
  }

  /** For how long somebody has been waiting without a break. */
  get standingMs(): number {
    return this.#entries.length === 0 ? 0 : this.#clock.monotonic() - this.#standingSince;
  }

  /** Resolves with `begin()`, called when it is its turn. Rejects at once with the signal's reason. */
  wait<T>(begin: () => T, { withinMs, signal, tooLate }: Patience): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    if (signal.aborted) {
      reject(signal.reason);
      return promise;
    }
    const since = this.#clock.monotonic();
    if (this.#entries.length === 0) this.#standingSince = since;
    const leave = () => {
      stopTimer();
      signal.removeEventListener("abort", onAbort);
      this.#entries.splice(this.#entries.indexOf(entry), 1);
    };
    const entry: Entry = {
      since,
      serve: () => {
        leave();
        resolve(begin());
      },
    };
    const onAbort = () => {
      leave();
      reject(signal.reason);
    };
    const stopTimer = this.#clock.after(Math.max(0, Math.min(withinMs, this.#waitMaxMs)), () => {
      leave();
      reject(tooLate());
    });
    signal.addEventListener("abort", onAbort, { once: true });
    this.#entries.push(entry);
    return promise;
  }

  serveNext(): void {
    const oldest = this.#entries[0];
    if (oldest === undefined) return;
    const isSlow = this.#clock.monotonic() - oldest.since > this.#waitMaxMs / 2;
    const next = isSlow ? this.#entries.at(-1) : oldest;
    next?.serve();
  }
}
