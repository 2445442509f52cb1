import type { Clock } from "../../process/clock.ts";
import { HEARTBEAT_MS, SILENCE_MAX_MS } from "./limits.ts";

export interface StreamPulseOptions {
  readonly clock: Clock;
  /** Nothing was sent for a while: sends a heartbeat with this sequence. */
  readonly beat: (sequence: number) => void;
  /** Nothing was heard for so long that the stream is dead. Called once; the pulse has stopped. */
  readonly silent: () => void;
}

/** A timer that fires so late tells of this process and not of the other side, whose frames may wait to be read. */
const LATE_MS = 1_000;

/**
 * Keeps a stream alive and notices when it is dead. `sent` and `heard` are called with every frame, so they only note
 * the time; one timer looks after both.
 */
export class StreamPulse {
  readonly #options: StreamPulseOptions;
  #sentAt: number;
  #heardAt: number;
  #sequence = 0;
  #cancel: () => void = () => {};

  constructor(options: StreamPulseOptions) {
    this.#options = options;
    this.#sentAt = options.clock.monotonic();
    this.#heardAt = this.#sentAt;
    this.#wait(this.#sentAt);
  }

  sent(): void {
    this.#sentAt = this.#options.clock.monotonic();
  }

  heard(): void {
    this.#heardAt = this.#options.clock.monotonic();
  }

  stop(): void {
    this.#cancel();
  }

  #wait(now: number): void {
    const due = this.#due();
    this.#cancel = this.#options.clock.after(Math.max(0, due - now), () => this.#look(due));
  }

  #due(): number {
    return Math.min(this.#sentAt + HEARTBEAT_MS, this.#heardAt + SILENCE_MAX_MS);
  }

  #look(due: number): void {
    const now = this.#options.clock.monotonic();
    if (now - due >= LATE_MS) this.#heardAt = Math.max(this.#heardAt, now - SILENCE_MAX_MS + HEARTBEAT_MS);
    if (now - this.#heardAt >= SILENCE_MAX_MS) {
      this.#options.silent();
      return;
    }
    if (now - this.#sentAt >= HEARTBEAT_MS) {
      this.#sentAt = now;
      this.#sequence++;
      this.#options.beat(this.#sequence);
    }
    this.#wait(now);
  }
}
