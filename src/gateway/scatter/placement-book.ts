import { Fault } from "../../fault/fault.ts";
import type { Clock } from "../../process/clock.ts";
import type { PlacementEndpoint } from "../table/routing-state.ts";
import { KnownPlacements } from "./known-placements.ts";
import { MethodLatency } from "./method-latency.ts";
import type { PlacementLoad, Waiter } from "./placement-load.ts";
import type { ScatterPolicy } from "./scatter-policy.ts";

/** How far what counts as many calls under way moves with each call that is seen. */
const HOT_STEP = 0.05;

/** All placements and methods that this gateway has asked, over the route tables that name them. */
export class PlacementBook {
  readonly #policy: ScatterPolicy;
  readonly #clock: Clock;
  readonly #placements: KnownPlacements;
  readonly #replicas = new WeakMap<readonly PlacementEndpoint[], readonly PlacementLoad[]>();
  readonly #methods = new Map<string, MethodLatency>();
  readonly #turns = new Map<number, number>();
  #hotAbove: number;
  #waiting = 0;

  constructor(policy: ScatterPolicy, clock: Clock) {
    this.#policy = policy;
    this.#clock = clock;
    this.#placements = new KnownPlacements(policy.replica);
    this.#hotAbove = policy.replica.hotMin;
  }

  /** In the order of the route table. */
  replicas(endpoints: readonly PlacementEndpoint[]): readonly PlacementLoad[] {
    const known = this.#replicas.get(endpoints);
    if (known !== undefined) return known;
    const found = endpoints.map((endpoint) => this.#placements.of(endpoint));
    this.#replicas.set(endpoints, found);
    return found;
  }

  /** By path: those of the table's services, so they are few. */
  method(path: string): MethodLatency {
    const known = this.#methods.get(path);
    if (known !== undefined) return known;
    const { hedge, replica } = this.#policy;
    const made = new MethodLatency(this.#methods.size, hedge, replica.halfLifeMs, this.#clock.monotonic());
    this.#methods.set(path, made);
    return made;
  }

  /** Grows with every choice for the shard (a common count would move in step with the shards), so replicas take turns. */
  nextTurn(shard: number): number {
    const turn = ((this.#turns.get(shard) ?? 0) + 1) % 0x7fffffff;
    this.#turns.set(shard, turn);
    return turn;
  }

  /** More calls under way than most placements have when they are looked at. */
  isHot(inFlight: number): boolean {
    return inFlight > this.#hotAbove;
  }

  /** Moves the boundary towards the policy's quantile of what is seen. */
  sawInFlight(inFlight: number): void {
    const { hotQuantile, hotMin } = this.#policy.replica;
    const step = HOT_STEP * Math.max(1, this.#hotAbove);
    const moved = this.#hotAbove + step * (inFlight > this.#hotAbove ? hotQuantile : hotQuantile - 1);
    this.#hotAbove = Math.max(hotMin, moved);
  }

  /**
   * All replicas have as many calls as they may: the first that has room lets the waiter in. Returns what ends the wait,
   * to be called once, also by who is let in. Fault `overloaded`: too many wait.
   */
  wait(replicas: readonly PlacementLoad[], waiter: Waiter, what: string): () => void {
    if (this.#waiting >= this.#policy.replica.waitingMax) {
      throw new Fault("overloaded", `${what}: ${this.#waiting} calls wait for a placement with room`, {
        retryAfterMs: 200,
      });
    }
    this.#waiting++;
    // Only where calls are under way does one end.
    for (const replica of replicas) if (replica.isFull) replica.wait(waiter);
    return () => {
      this.#waiting--;
      // One that is hung lets nobody in, and would keep all who were let in elsewhere.
      for (const replica of replicas) replica.leave(waiter);
    };
  }
}
