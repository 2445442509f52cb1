import type { Order } from "./value-order.ts";

/** Work that pauses about every millisecond, so that whoever runs it can let others in. */
export type Slices<T> = Generator<void, T, void>;

/** Elements worked on between two pauses. */
export const SLICE = 512;

/** Runs the work to its end without a pause. */
export function unsliced<T>(slices: Slices<T>): T {
  for (;;) {
    const turn = slices.next();
    if (turn.done) return turn.value;
  }
}

/**
 * A stable merge sort in slices: the built-in sort of a million elements holds the event loop for a second. Runs that
 * are in order already, as shards send their rows, are merged as they are; others are sorted by the built-in sort.
 */
export function* slicedSort<T>(items: readonly T[], order: Order<T>): Slices<T[]> {
  if (items.length <= SLICE) return [...items].sort(order);
  let source: T[] = [];
  /** Where the runs begin, and the end of the last. */
  let starts = yield* naturalRuns(items, order);
  if (starts.length * SLICE > 2 * items.length + SLICE) {
    starts = [];
    for (let start = 0; start < items.length; start += SLICE) {
      starts.push(start);
      for (const item of items.slice(start, start + SLICE).sort(order)) source.push(item);
      yield;
    }
    starts.push(items.length);
  } else source = [...items];
  while (starts.length > 2) {
    const target: T[] = [];
    const merged = [0];
    for (let run = 0; run < starts.length - 1; run += 2) {
      const middle = starts[run + 1]!;
      const limit = starts[run + 2] ?? middle;
      yield* mergeRuns(source, starts[run]!, middle, limit, order, target);
      merged.push(limit);
    }
    source = target;
    starts = merged;
  }
  return source;
}

function* naturalRuns<T>(items: readonly T[], order: Order<T>): Slices<number[]> {
  const starts = [0];
  for (let at = 1; at < items.length; at++) {
    if (order(items[at - 1]!, items[at]!) > 0) starts.push(at);
    if (at % SLICE === SLICE - 1) yield;
  }
  if (items.length > 0) starts.push(items.length);
  return starts;
}

function* mergeRuns<T>(
  source: readonly T[],
  start: number,
  middle: number,
  limit: number,
  order: Order<T>,
  target: T[],
): Slices<void> {
  const end = Math.min(limit, source.length);
  const leftEnd = Math.min(middle, end);
  let left = start;
  let right = leftEnd;
  while (left < leftEnd || right < end) {
    if (right >= end || (left < leftEnd && order(source[left]!, source[right]!) <= 0)) target.push(source[left++]!);
    else target.push(source[right++]!);
    if (target.length % SLICE === 0) yield;
  }
}

/** Elements beyond those wanted that are gathered before they are sorted and cut. */
const GATHERED = 8 * SLICE;

/**
 * The first `count` elements in order; of equal ones the earlier. Only about twice as many as are wanted are held and
 * sorted: where few are wanted of many, most elements are only compared with the worst of the best so far.
 */
export function* slicedFirst<T>(items: Iterable<T>, count: number, order: Order<T>): Slices<T[]> {
  let best: T[] = [];
  let worst: T | undefined;
  let visited = 0;
  for (const item of items) {
    if (++visited % SLICE === 0) yield;
    if (worst !== undefined && order(item, worst) >= 0) continue;
    best.push(item);
    if (best.length < 2 * count + GATHERED) continue;
    best = (yield* slicedSort(best, order)).slice(0, count);
    worst = best[count - 1];
  }
  return (yield* slicedSort(best, order)).slice(0, count);
}
