import { SLICE, type Slices, slicedSort } from "../../accumulator/sliced-sort.ts";
import { cut, type Window } from "../../accumulator/sorted.ts";
import type { Order } from "../../accumulator/value-order.ts";
import type { MessageState } from "./message-accumulator.ts";
import type { Rank, Shown } from "./rank.ts";

interface Ranked {
  readonly value: Shown;
  readonly state: MessageState;
}

/** Merged groups beyond those wanted that are gathered before they are sorted and cut. */
const GATHERED = 8 * SLICE;

/** The window of the groups by rank, ties by key ascending. Only about as many as are wanted are held and sorted. */
export function* rankGroups(
  groups: Iterable<MessageState>,
  rank: Rank,
  byKey: Order<MessageState>,
  window: Window,
): Slices<MessageState[]> {
  const order = (a: Ranked, b: Ranked) => rank.order(a.value, b.value) || byKey(a.state, b.state);
  const wanted = window.limit === undefined ? undefined : window.offset + window.limit;
  let gathered: Ranked[] = [];
  let visited = 0;
  for (const state of groups) {
    gathered.push({ value: rank.valueOf(state), state });
    if (++visited % SLICE === 0) yield;
    if (wanted !== undefined && gathered.length >= 2 * wanted + GATHERED) {
      gathered = (yield* slicedSort(gathered, order)).slice(0, wanted);
    }
  }
  return cut(yield* slicedSort(gathered, order), window).map(({ state }) => state);
}
