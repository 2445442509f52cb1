import { Fault } from "../../fault/fault.ts";
import type { Clock } from "../../process/clock.ts";
import type { PlacementEndpoint } from "../table/routing-state.ts";
import { MethodLatency } from "./method-latency.ts";
import { PlacementLoad, type Waiter } from "./placement-load.ts";
import type { ScatterPolicy } from "./scatter-policy.ts";

/** How far what counts as many calls under way moves with each call that is seen. */
const HOT_STEP = 0.05;

/** All placements and methods that this gateway has asked, over the route tables that name them. */
export class PlacementBook {
  readonly #policy: ScatterPolicy;
  readonly #clock: Clock;
  readonly #placements = new Map<string, PlacementLoad>();
  readonly #replicas = new WeakMap<readonly PlacementEndpoint[], readonly PlacementLoad[]>();
  readonly #methods = new Map<string, MethodLatency>();
  readonly #turns = new Map<number, number>();
  #hotAbove: number;
  #waiting = 0;

  constructor(policy: ScatterPolicy, clock: Clock) {
    this.#policy = policy;
    this.#clock = clock;
    this.#hotAbove = policy.replica.hotMin;
  }

  /** In the order of the route table. */
  replicas(endpoints: readonly PlacementEndpoint[]): readonly PlacementLoad[] {
    const known = this.#replicas.get(endpoints);
    if (known !== undefined) return known;
    const found = endpoints.map((endpoint) => this.#placement(endpoint));
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

  #placement(endpoint: PlacementEndpoint): PlacementLoad {
    const key = `${endpoint.node} ${endpoint.address}`;
    let placement = this.#placements.get(key);
    if (placement === undefined) {
      if (this.#placements.size >= this.#policy.replica.placementsMax) this.#forgetOne();
      placement = new PlacementLoad(endpoint, this.#policy.replica, this.#clock.monotonic());
      this.#placements.set(key, placement);
    }
    return placement;
  }

  #forgetOne(): void {
    let [oldest, usedAt] = ["", Number.POSITIVE_INFINITY];
    for (const [key, placement] of this.#placements) {
      if (placement.inFlight === 0 && placement.usedAt < usedAt) [oldest, usedAt] = [key, placement.usedAt];
    }
    this.#placements.delete(oldest);
  }
}
