/**
 * The rows of all shards in one order, as they come: a k-way merge that holds one row of each shard.
 *
 * Rows that compare equal come in the order of the shards, so the answer does not depend on which shard is faster. Each
 * stream is checked to be in order as it is read: a shard that sorts otherwise (another collation, an unstable index)
 * would silently misplace rows. When the window is full, or the reader stops, all streams are ended at once.
 */
import assert from "node:assert";
import type { Message } from "@bufbuild/protobuf";
import type { Order } from "../../accumulator/value-order.ts";
import type { MethodPlan } from "../../merge-plan/method-plan.ts";
import { requestWindow } from "../../merge-plan/request-window.ts";
import { rowOrder } from "../../merge-plan/row-order.ts";
import { badPartial } from "./bad-partial.ts";

export type RowStreams = ReadonlyMap<number, AsyncIterable<Message>>;

interface Head {
  readonly shard: number;
  readonly rows: AsyncIterator<Message>;
  row: Message;
}

/**
 * The window of the rows that the client's `request` asks for; the streams answer `shardRequest` of it. Faults:
 * `bad-partial` naming the shard whose rows are out of order, and whatever the streams fail with.
 */
export async function* mergeSortedRows(
  plan: MethodPlan,
  streams: RowStreams,
  request: Message,
): AsyncGenerator<Message> {
  const { merge } = plan;
  const window = requestWindow(plan, request);
  assert(merge.kind === "sorted", `${plan.method.name} does not stream rows`);
  const order = rowOrder(merge.by);
  const open = new Map([...streams].map(([shard, rows]) => [shard, rows[Symbol.asyncIterator]()] as const));
  try {
    const heads = await firstHeads(open);
    const before = (a: Head, b: Head) => order(a.row, b.row) || a.shard - b.shard;
    const heap = heads.sort(before);
    let remaining = window.limit ?? Number.POSITIVE_INFINITY;
    let skipped = 0;
    while (remaining > 0) {
      const head = heap[0];
      if (head === undefined) return;
      if (skipped < window.offset) skipped += 1;
      else {
        remaining -= 1;
        yield head.row;
      }
      if (remaining > 0) await advance(heap, head, order, before, open);
    }
  } finally {
    // Not waited for: a stream that hangs in `next` ends only when its call is cancelled, which is not ours to do.
    for (const rows of open.values()) void rows.return?.().catch(() => undefined);
  }
}

async function firstHeads(open: Map<number, AsyncIterator<Message>>): Promise<Head[]> {
  const first = [...open].map(async ([shard, rows]) => ({ shard, rows, turn: await rows.next() }));
  const heads: Head[] = [];
  for (const { shard, rows, turn } of await Promise.all(first)) {
    if (turn.done) open.delete(shard);
    else heads.push({ shard, rows, row: turn.value });
  }
  return heads;
}

async function advance(
  heap: Head[],
  head: Head,
  order: Order<Message>,
  before: Order<Head>,
  open: Map<number, AsyncIterator<Message>>,
): Promise<void> {
  const turn = await head.rows.next();
  if (turn.done) {
    open.delete(head.shard);
    const last = heap.pop()!;
    if (last !== head) heap[0] = last;
  } else {
    if (order(head.row, turn.value) > 0) throw badPartial(head.shard, "its rows are out of order");
    head.row = turn.value;
  }
  sink(heap, before);
}

/** Puts the first element of the heap where it belongs. */
function sink<T>(heap: T[], before: Order<T>): void {
  let at = 0;
  for (;;) {
    const left = 2 * at + 1;
    const right = left + 1;
    let least = at;
    if (left < heap.length && before(heap[left]!, heap[least]!) < 0) least = left;
    if (right < heap.length && before(heap[right]!, heap[least]!) < 0) least = right;
    if (least === at) return;
    [heap[at], heap[least]] = [heap[least]!, heap[at]!];
    at = least;
  }
}
