import { nextTurn } from "../sliced.ts";

/** A comparison of two groups costs up to ~100 ns, so a run or a stretch of merging is well below 2 ms. */
const RUN = 1024;
const MERGED_PER_SLICE = 8192;

/** Merge sort that lets the event loop turn: for lists that the outside can make long. */
export async function sortInSlices<T>(
  items: readonly T[],
  compare: (a: T, b: T) => number,
  signal: AbortSignal,
): Promise<T[]> {
  let from: T[] = [];
  for (let start = 0; start < items.length; start += RUN) {
    if (start > 0) await nextTurn(signal);
    for (const item of items.slice(start, start + RUN).sort(compare)) from.push(item);
  }
  let budget = MERGED_PER_SLICE;
  for (let width = RUN; width < items.length; width *= 2) {
    const to: T[] = new Array(items.length);
    for (let left = 0; left < items.length; left += 2 * width) {
      const middle = Math.min(left + width, items.length);
      const end = Math.min(left + 2 * width, items.length);
      let i = left;
      let j = middle;
      for (let k = left; k < end; k++) {
        const takeLeft = i < middle && (j >= end || compare(from[i] as T, from[j] as T) <= 0);
        to[k] = (takeLeft ? from[i++] : from[j++]) as T;
        if (--budget === 0) {
          await nextTurn(signal);
          budget = MERGED_PER_SLICE;
        }
      }
    }
    from = to;
  }
  return from;
}

/**
 * The first `count` items in order. Where few are wanted of many, most items are only compared with the worst of the
 * best so far.
 */
export async function firstInOrder<T>(
  items: readonly T[],
  count: number,
  compare: (a: T, b: T) => number,
  signal: AbortSignal,
): Promise<T[]> {
  if (count * 4 > items.length) return (await sortInSlices(items, compare, signal)).slice(0, count);
  let best: T[] = [];
  let worst: T | undefined;
  const room = count + RUN;
  for (let i = 0; i < items.length; i++) {
    if (i > 0 && i % MERGED_PER_SLICE === 0) await nextTurn(signal);
    const item = items[i] as T;
    if (worst !== undefined && compare(item, worst) >= 0) continue;
    best.push(item);
    if (best.length < room) continue;
    best = (await sortInSlices(best, compare, signal)).slice(0, count);
    worst = best[count - 1];
  }
  return (await sortInSlices(best, compare, signal)).slice(0, count);
}
