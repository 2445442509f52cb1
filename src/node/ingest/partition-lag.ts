import type { Clock } from "../../process/clock.ts";

/** How far a partition's rows are behind its log. */
export interface PartitionLag {
  readonly topic: string;
  readonly partition: number;
  /** What is committed. */
  readonly position: bigint;
  /** Where the partition ended when it was last read; absent: it never was. */
  readonly bound: bigint | undefined;
  /** Offsets from position to bound: records, and the gaps between them. */
  readonly records: bigint;
  /**
   * Milliseconds since everything that the log had was committed, or since this process began where it never was; hardly more than the wait of a fetch where nothing is
   * missing. Not the age of the oldest record that is missing: its timestamp is its producer's, which may be of another
   * year, and nobody has read it yet. So it also grows while the log cannot be reached and `records` tells nothing.
   */
  readonly behindMs: number;
}

/** One partition's lag as its loop goes on. */
export class LagGauge {
  readonly #topic: string;
  readonly #partition: number;
  readonly #clock: Clock;
  #position = 0n;
  #bound: bigint | undefined;
  #readAtMs = 0;
  #caughtUpAtMs: number;

  constructor(topic: string, partition: number, clock: Clock) {
    this.#topic = topic;
    this.#partition = partition;
    this.#clock = clock;
    this.#caughtUpAtMs = clock.monotonic();
  }

  read(bound: bigint): void {
    this.#bound = bound;
    this.#readAtMs = this.#clock.monotonic();
    this.#compare();
  }

  committed(position: bigint): void {
    this.#position = position;
    this.#compare();
  }

  get lag(): PartitionLag {
    const [position, bound] = [this.#position, this.#bound];
    const records = bound === undefined || bound < position ? 0n : bound - position;
    const behindMs = this.#clock.monotonic() - this.#caughtUpAtMs;
    return { topic: this.#topic, partition: this.#partition, position, bound, records, behindMs };
  }

  /** A bound is as old as its read: what was appended since may be missing. */
  #compare(): void {
    if (this.#bound !== undefined && this.#position >= this.#bound) this.#caughtUpAtMs = this.#readAtMs;
  }
}
