import type { Clock, Randomness } from "../../../src/process/clock.ts";

interface Timer {
  readonly at: number;
  readonly order: number;
  work: (() => void) | undefined;
}

/** Time that goes on only when it is told to: what is due is done in its order. */
export class VirtualClock implements Clock {
  #now = 0;
  #order = 0;
  /** A binary heap by (at, order). */
  readonly #heap: Timer[] = [];

  now(): number {
    return this.#now;
  }

  monotonic(): number {
    return this.#now;
  }

  after(ms: number, work: () => void): () => void {
    const timer: Timer = { at: this.#now + ms, order: this.#order++, work };
    this.#push(timer);
    return () => {
      timer.work = undefined;
    };
  }

  /** Goes on to `until`; promises that a timer settles are followed before the next one is due. */
  async advance(until: number): Promise<void> {
    for (let timer = this.#heap[0]; timer !== undefined && timer.at <= until; timer = this.#heap[0]) {
      this.#pop();
      if (timer.work === undefined) continue;
      this.#now = timer.at;
      timer.work();
      for (let turn = 0; turn < 4; turn++) await undefined;
    }
    this.#now = until;
  }

  #push(timer: Timer): void {
    const heap = this.#heap;
    heap.push(timer);
    for (let at = heap.length - 1; at > 0; ) {
      const parent = (at - 1) >> 1;
      if (!isBefore(heap[at]!, heap[parent]!)) break;
      [heap[at], heap[parent]] = [heap[parent]!, heap[at]!];
      at = parent;
    }
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop()!;
    if (heap.length === 0) return;
    heap[0] = last;
    for (let at = 0; ; ) {
      const [left, right] = [2 * at + 1, 2 * at + 2];
      let least = at;
      if (left < heap.length && isBefore(heap[left]!, heap[least]!)) least = left;
      if (right < heap.length && isBefore(heap[right]!, heap[least]!)) least = right;
      if (least === at) return;
      [heap[at], heap[least]] = [heap[least]!, heap[at]!];
      at = least;
    }
  }
}

function isBefore(a: Timer, b: Timer): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}

/** Mulberry32: the same numbers for the same seed. */
export function seededRandomness(seed: number): Randomness {
  let state = seed | 0;
  let ids = 0;
  return {
    unit() {
      state = (state + 0x6d2b79f5) | 0;
      let t = Math.imul(state ^ (state >>> 15), 1 | state);
      t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
      return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
    },
    id: () => `id-${++ids}`,
  };
}
