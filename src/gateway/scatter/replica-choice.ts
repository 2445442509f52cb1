import type { PlacementEndpoint } from "../table/routing-state.ts";

/** Calls under way by address: the only thing that is known of a replica before it is asked. */
export class ReplicaLoad {
  readonly #inFlight = new Map<string, number>();
  readonly #turns = new Map<number, number>();

  /** Grows with every choice for the shard (a common count would move in step with the shards), so replicas take turns. */
  nextTurn(shard: number): number {
    const turn = ((this.#turns.get(shard) ?? 0) + 1) % 0x7fffffff;
    this.#turns.set(shard, turn);
    return turn;
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
