/**
 * One merge operator. `State` is a value: `add` and `merge` return the new state and may reuse the old one's memory, so
 * a state that was passed in must not be used again.
 *
 * Laws, tested on random data for every operator: merge is associative and commutative, `empty()` is its identity, and
 * the result does not depend on how the inputs are divided among states or in what order they come. Where order is part
 * of the meaning (`first`, `concat`) the shard number is part of the input.
 */
export interface Accumulator<State, In, Out> {
  empty(): State;
  /** `shard` tells where the input came from. Faults: `overflow` at `finish`, `bad-partial` for an impossible input. */
  add(state: State, input: In, shard: number): State;
  merge(a: State, b: State): State;
  finish(state: State): Out;
}
