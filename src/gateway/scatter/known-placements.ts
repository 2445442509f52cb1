import type { PlacementEndpoint } from "../table/routing-state.ts";
import { PlacementLoad } from "./placement-load.ts";
import type { ReplicaPolicy } from "./scatter-policy.ts";

/**
 * What is known of placements, one `PlacementLoad` for each node and address: two would each allow as many calls. So none
 * is forgotten that a table in use, a question or a call still has. Of the others those that were wanted last are kept,
 * `placementsMax` at most, for the tables to come.
 */
export class KnownPlacements {
  readonly #policy: ReplicaPolicy;
  readonly #all = new Map<string, WeakRef<PlacementLoad>>();
  /** Those wanted last at the end. */
  readonly #kept = new Map<string, PlacementLoad>();
  readonly #gone = new FinalizationRegistry<string>((key) => {
    // Another may have come in its place.
    if (this.#all.get(key)?.deref() === undefined) this.#all.delete(key);
  });

  constructor(policy: ReplicaPolicy) {
    this.#policy = policy;
  }

  get size(): number {
    return this.#all.size;
  }

  of(endpoint: PlacementEndpoint): PlacementLoad {
    const key = `${endpoint.node} ${endpoint.address}`;
    const placement = this.#all.get(key)?.deref() ?? this.#made(key, endpoint);
    this.#kept.delete(key);
    this.#kept.set(key, placement);
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= this.#policy.placementsMax) break;
      this.#kept.delete(oldest);
    }
    return placement;
  }

  #made(key: string, endpoint: PlacementEndpoint): PlacementLoad {
    const placement = new PlacementLoad(endpoint, this.#policy);
    this.#all.set(key, new WeakRef(placement));
    this.#gone.register(placement, key);
    return placement;
  }
}
