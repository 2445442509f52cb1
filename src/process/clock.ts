/** Time and randomness are passed in, so that tests and simulators decide what they are. */
export interface Clock {
  /** Milliseconds since the Unix epoch: for people and records, never compared across machines. */
  now(): number;
  /** Milliseconds from an arbitrary start, never going back: for deadlines and durations. */
  monotonic(): number;
  /** Calls `work` once after `ms`; the returned function cancels it. */
  after(ms: number, work: () => void): () => void;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after(ms, work) {
    const timer = setTimeout(work, ms);
    return () => clearTimeout(timer);
  },
};

/** Resolves after `ms`; rejects with the signal's reason when that comes first. */
export function sleep(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const onAbort = () => {
      cancel();
      reject(signal?.reason);
    };
    const cancel = clock.after(ms, () => {
      signal?.removeEventListener("abort", onAbort);
      resolve();
    });
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}

/** Uniform numbers in [0, 1), and ids. */
export interface Randomness {
  unit(): number;
  id(): string;
}

export const systemRandomness: Randomness = {
  unit: () => Math.random(),
  id: () => crypto.randomUUID(),
};
