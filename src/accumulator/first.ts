import type { Accumulator } from "./accumulator.ts";

export interface FirstState<T> {
  readonly shard: number;
  readonly value: T;
}

/** The value of the lowest shard that has one. A shard must say the same whenever it speaks. */
export function first<T>(): Accumulator<FirstState<T> | undefined, T, T | undefined> {
  const lower = (a: FirstState<T> | undefined, b: FirstState<T> | undefined) => {
    if (a === undefined || b === undefined) return a ?? b;
    return b.shard < a.shard ? b : a;
  };
  return {
    empty: () => undefined,
    add: (state, value, shard) => (state === undefined || shard < state.shard ? { shard, value } : state),
    merge: lower,
    finish: (state) => state?.value,
  };
}
