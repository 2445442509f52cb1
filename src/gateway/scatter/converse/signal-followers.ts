/** A call that ends when its query does. */
export interface Follower {
  cancelled(reason: unknown): void;
}

/** One listener for all calls of a query: adding one to a signal costs more than packing a call. */
export class SignalFollowers {
  readonly #groups = new WeakMap<AbortSignal, Set<Follower>>();

  /** The follower takes itself out of the set when it has ended. The signal has not aborted. */
  follow(signal: AbortSignal, follower: Follower): Set<Follower> {
    const group = this.#groups.get(signal) ?? this.#begin(signal);
    group.add(follower);
    return group;
  }

  #begin(signal: AbortSignal): Set<Follower> {
    const group = new Set<Follower>();
    this.#groups.set(signal, group);
    const tell = () => {
      for (const follower of [...group]) follower.cancelled(signal.reason);
    };
    signal.addEventListener("abort", tell, { once: true });
    return group;
  }
}
