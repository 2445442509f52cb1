import type { Accumulator } from "./accumulator.ts";
import { appendList, type ListsByShard, mergeLists } from "./concat.ts";
import { type Slices, slicedSort, unsliced } from "./sliced-sort.ts";
import type { Order } from "./value-order.ts";

/** Elements of the merged order that are wanted; `limit` undefined is all. */
export interface Window {
  readonly offset: number;
  readonly limit: number | undefined;
}

/** One sorted list of all elements, cut to the window. Elements that compare equal stay in the order of the shards. */
export function sorted<T>(
  order: Order<T>,
  window: Window,
): Accumulator<ListsByShard<T>, readonly T[], T[]> & { finishSlices(state: ListsByShard<T>): Slices<T[]> } {
  function* finishSlices(state: ListsByShard<T>): Slices<T[]> {
    const items: T[] = [];
    for (const shard of [...state.keys()].sort((a, b) => a - b)) for (const item of state.get(shard)!) items.push(item);
    return cut(yield* slicedSort(items, order), window);
  }
  return {
    empty: () => new Map(),
    add: appendList,
    merge: mergeLists,
    finish: (state) => unsliced(finishSlices(state)),
    finishSlices,
  };
}

export function cut<T>(items: readonly T[], { offset, limit }: Window): T[] {
  return items.slice(offset, limit === undefined ? undefined : offset + limit);
}
