import type { Clock } from "../../../process/clock.ts";
import type { ShardWay } from "../shard-transport.ts";
import type { SlotParts, StreamSlot } from "./stream-slot.ts";
import type { PartialSizes } from "./unary-call.ts";

/** A method with a larger partial sends its next ones by the bulk stream, */
const LARGE_BYTES = 256 * 1024;
/** for so long after the last large one. */
const LARGE_FOR_MS = 60_000;

/** What is known of one process: a placement of one service version at an address. */
export class ConversePod implements PartialSizes {
  readonly way: ShardWay;
  readonly main: StreamSlot;
  readonly bulk: StreamSlot;
  /** How many calls it was asked, to know when the next sentinel is due. */
  calls = 0;
  /** The process that is there does not speak Converse, although the route table says that its version does. */
  isUnaryOnly = false;
  readonly #clock: Clock;
  readonly #largeUntil = new Map<string, number>();

  constructor(clock: Clock, way: ShardWay, slot: (kind: SlotParts["kind"]) => StreamSlot) {
    this.#clock = clock;
    this.way = way;
    this.main = slot("stream");
    this.bulk = slot("bulk");
  }

  get isEmpty(): boolean {
    return this.main.isEmpty && this.bulk.isEmpty;
  }

  isLarge(path: string, now: number): boolean {
    const until = this.#largeUntil.get(path);
    if (until === undefined) return false;
    if (now < until) return true;
    this.#largeUntil.delete(path);
    return false;
  }

  replied(path: string, bytes: number): void {
    if (bytes > LARGE_BYTES) this.#largeUntil.set(path, this.#clock.monotonic() + LARGE_FOR_MS);
  }

  retire(): void {
    this.main.retire();
    this.bulk.retire();
  }

  lose(...loss: Parameters<StreamSlot["lose"]>): void {
    this.main.lose(...loss);
    this.bulk.lose(...loss);
  }
}
