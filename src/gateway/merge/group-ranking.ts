import { type Slices, slicedFirst } from "../../accumulator/sliced-sort.ts";
import { cut, type Window } from "../../accumulator/sorted.ts";
import type { Order } from "../../accumulator/value-order.ts";
import type { MessageState } from "./message-accumulator.ts";
import type { Rank, Shown } from "./rank.ts";

interface Ranked {
  readonly value: Shown;
  readonly state: MessageState;
}

/** The window of the groups by rank, ties by key ascending. */
export function* rankGroups(
  groups: Iterable<MessageState>,
  rank: Rank,
  byKey: Order<MessageState>,
  window: Window,
): Slices<MessageState[]> {
  const order = (a: Ranked, b: Ranked) => rank.order(a.value, b.value) || byKey(a.state, b.state);
  const wanted = window.limit === undefined ? Number.POSITIVE_INFINITY : window.offset + window.limit;
  return cut(yield* slicedFirst(ranked(groups, rank), wanted, order), window).map(({ state }) => state);
}

function* ranked(groups: Iterable<MessageState>, rank: Rank): Iterable<Ranked> {
  for (const state of groups) yield { value: rank.valueOf(state), state };
}
