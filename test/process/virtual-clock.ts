import type { Clock, Randomness } from "../../src/process/clock.ts";

interface Timer {
  readonly at: number;
  readonly sequence: number;
  /** Absent: cancelled. */
  work: (() => void) | undefined;
}

/** Time that goes on only by `run`, from event to event; what is due at one time happens in the order it was asked for. */
export class VirtualClock implements Clock {
  #now = 0;
  #sequence = 0;
  /** A binary heap by time, then sequence. */
  readonly #heap: Timer[] = [];

  now(): number {
    return this.#now;
  }

  monotonic(): number {
    return this.#now;
  }

  after(ms: number, work: () => void): () => void {
    const timer: Timer = { at: this.#now + Math.max(0, ms), sequence: this.#sequence++, work };
    this.#push(timer);
    return () => {
      timer.work = undefined;
    };
  }

  /** Goes on without anything happening that is due meanwhile, as when a process is held up. */
  hold(ms: number): void {
    this.#now += ms;
  }

  /** Until nothing is due up to `untilMs`. Between two times all promises that can settle do. */
  async run(untilMs = Number.POSITIVE_INFINITY): Promise<void> {
    await settled();
    while (this.#heap.length > 0 && this.#heap[0]!.at <= untilMs) {
      const { at, work } = this.#pop();
      this.#now = Math.max(this.#now, at);
      if (work === undefined) continue;
      work();
      await settled();
    }
    if (untilMs !== Number.POSITIVE_INFINITY) this.#now = Math.max(this.#now, untilMs);
  }

  /** The same for so many milliseconds from now. */
  pass(ms: number): Promise<void> {
    return this.run(this.#now + ms);
  }

  #push(timer: Timer): void {
    const heap = this.#heap;
    let i = heap.push(timer) - 1;
    for (; i > 0; ) {
      const parent = (i - 1) >> 1;
      if (!isBefore(timer, heap[parent]!)) break;
      heap[i] = heap[parent]!;
      i = parent;
    }
    heap[i] = timer;
  }

  #pop(): Timer {
    const heap = this.#heap;
    const top = heap[0]!;
    const last = heap.pop()!;
    if (heap.length === 0) return top;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++;
      if (!isBefore(heap[child]!, last)) break;
      heap[i] = heap[child]!;
      i = child;
    }
    heap[i] = last;
    return top;
  }
}

function isBefore(a: Timer, b: Timer): boolean {
  return a.at < b.at || (a.at === b.at && a.sequence < b.sequence);
}

function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Always the same numbers for a seed (mulberry32). */
export function seeded(seed: number): Randomness & { exponential(mean: number): number } {
  let state = seed >>> 0;
  const unit = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  return { unit, id: () => String(unit()), exponential: (mean) => -mean * Math.log(1 - unit()) };
}
