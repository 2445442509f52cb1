import type { Accumulator } from "./accumulator.ts";
import type { Order } from "./value-order.ts";

/**
 * The least or the greatest value. `order` must be total (equal only when the same), or two shards that say "equal" in
 * different writing would make the answer depend on who came first. NaN is the greatest float: it is the least only
 * when there is nothing else.
 */
export function least<T>(order: Order<T>): Accumulator<T | undefined, T, T | undefined> {
  const choose = (a: T | undefined, b: T | undefined) => {
    if (a === undefined || b === undefined) return a ?? b;
    return order(b, a) < 0 ? b : a;
  };
  return { empty: () => undefined, add: choose, merge: choose, finish: (state) => state };
}

export function greatest<T>(order: Order<T>): Accumulator<T | undefined, T, T | undefined> {
  return least((a, b) => order(b, a));
}
