import { Fault } from "../../fault/fault.ts";
import { type Stamp, stampDifference } from "../../mesh/stamp.ts";
import type { MethodLatency } from "./method-latency.ts";
import type { PlacementLoad } from "./placement-load.ts";
import type { AskKind } from "./shard-question.ts";
import type { ShardCall } from "./shard-transport.ts";
import { isWayLost, tellsOfPlacement } from "./worth-retrying.ts";

/** One call of a question to one placement, counted there from its beginning to its end, which comes once. */
export class Attempt {
  readonly kind: AskKind;
  readonly placement: PlacementLoad;
  readonly startedAt: number;
  /** Once it has been sent. */
  call: ShardCall | undefined;
  readonly #method: MethodLatency;
  #isOpen = true;

  constructor(kind: AskKind, placement: PlacementLoad, method: MethodLatency, now: number) {
    this.kind = kind;
    this.placement = placement;
    this.startedAt = now;
    this.#method = method;
    placement.begin(now);
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  replied(now: number): void {
    this.#isOpen = false;
    this.placement.replied(this.#method, now - this.startedAt, now);
  }

  failed(fault: Fault, now: number): void {
    this.#isOpen = false;
    const tells = tellsOfPlacement(fault);
    if (tells === "slow") this.placement.givenUp(this.#method, now - this.startedAt, now);
    else this.placement.failed(tells, now);
    if (isWayLost(fault)) this.placement.eject(now);
  }

  /** Ends it without the other calls of its query. */
  cancel(reason: Fault): void {
    this.call?.under?.cancelled(reason);
  }

  /** Nobody waits for it any more; returns whether it was under way. */
  giveUp(now: number): boolean {
    if (!this.#isOpen) return false;
    this.#isOpen = false;
    this.placement.givenUp(this.#method, now - this.startedAt, now);
    return true;
  }
}

/** The guard of "never mixed": routes may be wrong, caches stale, processes confused; the stamp tells. */
export function stampFault(expected: Stamp, actual: Stamp | undefined, node: string): Fault | undefined {
  const difference = actual === undefined ? "it sent no stamp" : stampDifference(expected, actual);
  if (difference === undefined) return undefined;
  const { shard } = expected;
  const text = `ask shard ${shard} on ${node}: ${difference}`;
  return new Fault("stamp-mismatch", text, { shard, reason: "STAMP_MISMATCH" });
}
