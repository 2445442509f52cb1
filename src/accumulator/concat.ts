import type { Accumulator } from "./accumulator.ts";

/** By shard: what it sent, in its order. */
export type ListsByShard<T> = Map<number, T[]>;

/** All elements, in the order of the shards; a shard's own lists in the order in which they were added. */
export function concat<T>(): Accumulator<ListsByShard<T>, readonly T[], T[]> {
  return {
    empty: () => new Map(),
    add: appendList,
    merge: mergeLists,
    finish: (state) => [...state.keys()].sort((a, b) => a - b).flatMap((shard) => state.get(shard) ?? []),
  };
}

export function appendList<T>(state: ListsByShard<T>, input: readonly T[], shard: number): ListsByShard<T> {
  const list = state.get(shard);
  if (list === undefined) state.set(shard, [...input]);
  else for (const item of input) list.push(item);
  return state;
}

export function mergeLists<T>(a: ListsByShard<T>, b: ListsByShard<T>): ListsByShard<T> {
  for (const [shard, list] of b) appendList(a, list, shard);
  return a;
}
