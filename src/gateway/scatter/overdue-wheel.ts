import type { Clock } from "../../process/clock.ts";

/** Milliseconds of a slot, and how many there are: delays are below their product. */
const TICK_MS = 1;
const SLOTS = 1024;
/** A wheel that turns so late waited for its own event loop: what it waits for may have come. */
const LATE_MS = 3;

/** Stands in the wheel at most once at a time. */
export interface WheelEntry {
  /** Kept by the wheel. −1: not in it. */
  slot: number;
  place: number;
  /** Told first to all that are due. */
  isOverdue(): void;
  /** Then each may act. */
  act(now: number): void;
}

/** One timer for all calls that may become overdue: to enter and to leave are a push and a swap. */
export class OverdueWheel {
  readonly #clock: Clock;
  readonly #slots: WheelEntry[][] = Array.from({ length: SLOTS }, () => []);
  #count = 0;
  /** All slots up to this tick are empty. */
  #turnedTo: number;
  #wakesAt = Number.POSITIVE_INFINITY;
  #cancel: () => void = () => {};

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#turnedTo = Math.floor(clock.monotonic() / TICK_MS);
  }

  get size(): number {
    return this.#count;
  }

  /** Due after `delayMs`, rounded up to whole ticks. */
  enter(entry: WheelEntry, delayMs: number, now: number): void {
    // Up to here the slots are empty; two ticks share one only when they are a whole turn apart.
    this.#turnedTo = Math.max(this.#turnedTo, Math.min(Math.floor(now / TICK_MS), this.#wakesAt - 1));
    const wished = Math.max(this.#turnedTo + 1, Math.ceil((now + delayMs) / TICK_MS));
    const tick = Math.min(wished, this.#turnedTo + SLOTS - 1);
    const slot = this.#slots[tick % SLOTS]!;
    entry.slot = tick % SLOTS;
    entry.place = slot.push(entry) - 1;
    this.#count++;
    if (tick < this.#wakesAt) this.#wake(tick, now);
  }

  leave(entry: WheelEntry): void {
    if (entry.slot < 0) return;
    const slot = this.#slots[entry.slot]!;
    const last = slot.pop()!;
    if (last !== entry) {
      slot[entry.place] = last;
      last.place = entry.place;
    }
    entry.slot = -1;
    this.#count--;
  }

  #wake(tick: number, now: number): void {
    this.#cancel();
    this.#wakesAt = tick;
    this.#cancel = this.#clock.after(Math.max(0, tick * TICK_MS - now), () => this.#turn());
  }

  #turn(): void {
    const now = this.#clock.monotonic();
    const woken = this.#wakesAt;
    this.#wakesAt = Number.POSITIVE_INFINITY;
    const tick = Math.floor(now / TICK_MS);
    const isLate = now - woken * TICK_MS > LATE_MS;
    const due: WheelEntry[] = [];
    for (let t = this.#turnedTo + 1; t <= Math.min(tick, this.#turnedTo + SLOTS); t++) {
      const slot = this.#slots[t % SLOTS]!;
      while (slot.length > 0) {
        const entry = slot[slot.length - 1]!;
        this.leave(entry);
        due.push(entry);
      }
    }
    this.#turnedTo = Math.max(tick, this.#turnedTo);
    if (isLate) {
      // Replies are read after timers: those that have come meanwhile take their calls out before the next tick.
      for (const entry of due) this.enter(entry, TICK_MS, now);
    } else {
      for (const entry of due) entry.isOverdue();
      for (const entry of due) entry.act(now);
    }
    this.#wakeForNext(now);
  }

  #wakeForNext(now: number): void {
    if (this.#count === 0) return;
    let tick = this.#turnedTo + 1;
    while (tick < this.#wakesAt && this.#slots[tick % SLOTS]!.length === 0) tick++;
    if (tick < this.#wakesAt) this.#wake(tick, now);
  }
}
