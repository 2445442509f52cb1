import type { Accumulator } from "./accumulator.ts";
import type { Identity } from "./distinct.ts";
import { SLICE, type Slices, slicedSort, unsliced } from "./sliced-sort.ts";
import type { Order } from "./value-order.ts";

export interface GroupOptions<State, Element, Out> {
  /** Equal exactly when the elements belong to one group. */
  identityOf(element: Element): Identity;
  readonly element: Accumulator<State, Element, Out>;
  /** Order of the groups in the result: total over groups, so normally by key. */
  readonly order: Order<State>;
  /** Told of the first element of every group, so that its memory can be accounted for. */
  readonly onNew?: (element: Element) => void;
}

export type Groups<State> = Map<Identity, State>;

/** One element for each key; elements of one key are merged by `element`. */
export function group<State, Element, Out>({
  identityOf,
  element,
  order,
  onNew,
}: GroupOptions<State, Element, Out>): Accumulator<Groups<State>, readonly Element[], Out[]> & {
  finishSlices(state: Groups<State>): Slices<Out[]>;
} {
  function* finishSlices(state: Groups<State>): Slices<Out[]> {
    const finished: Out[] = [];
    for (const one of yield* slicedSort([...state.values()], order)) {
      finished.push(element.finish(one));
      if (finished.length % SLICE === 0) yield;
    }
    return finished;
  }
  return {
    empty: () => new Map(),
    add(state, input, shard) {
      for (const one of input) {
        const identity = identityOf(one);
        const known = state.get(identity);
        if (known === undefined) onNew?.(one);
        const next = element.add(known ?? element.empty(), one, shard);
        if (next !== known) state.set(identity, next);
      }
      return state;
    },
    merge(a, b) {
      for (const [identity, one] of b) {
        const known = a.get(identity);
        a.set(identity, known === undefined ? one : element.merge(known, one));
      }
      return a;
    },
    finish: (state) => unsliced(finishSlices(state)),
    finishSlices,
  };
}
