import type { PlacementEndpoint } from "../resolve/routing-state.ts";

/** Calls under way by address: the only thing that is known of a replica before it is asked. */
export class ReplicaLoad {
  readonly #inFlight = new Map<string, number>();
  #turn = 0;

  /** Grows with every choice, so that equal replicas take turns. */
  nextTurn(): number {
    this.#turn = (this.#turn + 1) % 0x7fffffff;
    return this.#turn;
  }

  of(endpoint: PlacementEndpoint): number {
    return this.#inFlight.get(keyOf(endpoint)) ?? 0;
  }

  begin(endpoint: PlacementEndpoint): () => void {
    const key = keyOf(endpoint);
    this.#inFlight.set(key, (this.#inFlight.get(key) ?? 0) + 1);
    return () => {
      const left = (this.#inFlight.get(key) ?? 1) - 1;
      if (left === 0) this.#inFlight.delete(key);
      else this.#inFlight.set(key, left);
    };
  }
}

/**
 * The replica with the fewest calls under way; among equals the turn decides. `avoid` is the one that failed just now:
 * it is asked again only when there is no other.
 */
export function chooseReplica(
  replicas: readonly PlacementEndpoint[],
  load: Pick<ReplicaLoad, "of">,
  turn: number,
  avoid?: PlacementEndpoint,
): PlacementEndpoint | undefined {
  const others = replicas.filter((replica) => replica !== avoid);
  const candidates = others.length > 0 ? others : replicas;
  const least = Math.min(...candidates.map((replica) => load.of(replica)));
  const idle = candidates.filter((replica) => load.of(replica) === least);
  return idle[turn % idle.length];
}

function keyOf(endpoint: PlacementEndpoint): string {
  return `${endpoint.node} ${endpoint.address}`;
}
