import type { Accumulator } from "./accumulator.ts";
import { type Slices, slicedSort, unsliced } from "./sliced-sort.ts";
import type { Order } from "./value-order.ts";

/** What tells values apart in a Map: equal exactly when the values are. */
export type Identity = string | bigint | number | boolean | undefined;

export interface DistinctOptions<T> {
  identityOf(value: T): Identity;
  /** Total: of values with one identity the first by it is kept, whichever came first. */
  readonly order: Order<T>;
  /** Told of every value that is kept, so that its memory can be accounted for. */
  readonly onNew?: (value: T) => void;
}

/** The set of all values, ascending. */
export function distinct<T>({ identityOf, order, onNew }: DistinctOptions<T>): Accumulator<
  Map<Identity, T>,
  readonly T[],
  T[]
> & {
  finishSlices(state: Map<Identity, T>): Slices<T[]>;
} {
  const finishSlices = (state: Map<Identity, T>) => slicedSort([...state.values()], order);
  return {
    empty: () => new Map(),
    add(state, input) {
      for (const value of input) {
        const identity = identityOf(value);
        const known = state.get(identity);
        if (known === undefined) onNew?.(value);
        if (known === undefined || order(value, known) < 0) state.set(identity, value);
      }
      return state;
    },
    merge(a, b) {
      for (const [identity, value] of b) {
        const known = a.get(identity);
        if (known === undefined || order(value, known) < 0) a.set(identity, value);
      }
      return a;
    },
    finish: (state) => unsliced(finishSlices(state)),
    finishSlices,
  };
}
