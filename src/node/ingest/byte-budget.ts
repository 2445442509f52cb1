/**
 * Bytes of records that all partitions of a node hold between the log and their stores. Who holds none waits in turn for
 * room; who holds some is never made to wait, only refused more, and gives back all when its batch is committed. So
 * nobody waits for room while others wait for him, and the next in turn comes to it whoever asks for less behind him.
 */
export class ByteBudget {
  readonly max: number;
  #held = 0;
  #partitions = 0;
  readonly #waiting = new Set<Waiting>();

  constructor(max: number) {
    this.max = max;
  }

  get held(): number {
    return this.#held;
  }

  /** What one partition may hold: a store that hangs keeps its own partitions' shares and no other's. */
  get share(): number {
    return this.max / Math.max(1, this.#partitions);
  }

  /** A partition comes; the returned function says that it has gone. */
  join(): () => void {
    this.#partitions += 1;
    return () => {
      this.#partitions -= 1;
    };
  }

  /** Waits for room in turn; at most `max`. Rejects with the signal's reason. */
  async take(bytes: number, signal: AbortSignal): Promise<HeldBytes> {
    signal.throwIfAborted();
    if (!this.#change(bytes, true)) await this.#turn(bytes, signal);
    return new HeldBytes(bytes, (more, mustFit) => this.#change(more, mustFit));
  }

  #turn(bytes: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const leave = () => {
        this.#waiting.delete(waiting);
        reject(signal.reason);
        this.#admit();
      };
      const waiting: Waiting = {
        bytes,
        enter() {
          signal.removeEventListener("abort", leave);
          resolve();
        },
      };
      this.#waiting.add(waiting);
      signal.addEventListener("abort", leave, { once: true });
    });
  }

  #change(more: number, mustFit: boolean): boolean {
    if (mustFit && (this.#waiting.size > 0 || this.#held + more > this.max)) return false;
    this.#held += more;
    if (more < 0) this.#admit();
    return true;
  }

  #admit(): void {
    for (const waiting of this.#waiting) {
      if (this.#held + waiting.bytes > this.max) return;
      this.#waiting.delete(waiting);
      this.#held += waiting.bytes;
      waiting.enter();
    }
  }
}

interface Waiting {
  readonly bytes: number;
  enter(): void;
}

/** One batch's part of the budget. */
export class HeldBytes {
  #bytes: number;
  readonly #change: (more: number, mustFit: boolean) => boolean;

  constructor(bytes: number, change: (more: number, mustFit: boolean) => boolean) {
    this.#bytes = bytes;
    this.#change = change;
  }

  /** Room for more, if there is some that nobody waits for. */
  more(bytes: number): boolean {
    if (!this.#change(bytes, true)) return false;
    this.#bytes += bytes;
    return true;
  }

  /** What it has come to: less than was expected, or more where a single record or batch of the log is larger. */
  settle(bytes: number): void {
    const difference = bytes - this.#bytes;
    this.#bytes = bytes;
    if (difference !== 0) this.#change(difference, false);
  }

  release(): void {
    this.settle(0);
  }
}
