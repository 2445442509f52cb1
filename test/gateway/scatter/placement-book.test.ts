import { describe, expect, test } from "vitest";
import { MethodLatency } from "../../../src/gateway/scatter/method-latency.ts";
import { PlacementBook } from "../../../src/gateway/scatter/placement-book.ts";
import type { PlacementLoad, Waiter } from "../../../src/gateway/scatter/placement-load.ts";
import { SCATTER_POLICY } from "../../../src/gateway/scatter/scatter-policy.ts";
import { VirtualClock } from "../../process/virtual-clock.ts";

const oneCall = { ...SCATTER_POLICY.replica, inFlightLimit: { start: 1, min: 1, max: 1 } };
const method = new MethodLatency(0, SCATTER_POLICY.hedge, SCATTER_POLICY.replica.halfLifeMs, 0);
const bookOf = (change: Partial<typeof oneCall> = {}) =>
  new PlacementBook({ ...SCATTER_POLICY, replica: { ...oneCall, ...change } }, new VirtualClock());
const shardOf = (...nodes: string[]) => nodes.map((node) => ({ node, address: `${node}:1` }));

/** Takes the room that it is let into, and says nothing more. */
class Guest implements Waiter {
  at: PlacementLoad | undefined;
  leave = () => {};

  letIn(placement: PlacementLoad): void {
    this.leave();
    this.at = placement;
    placement.begin(0);
  }
}

test("a placement that another table names again is the one that is asked already, however many there are", () => {
  const book = bookOf({ placementsMax: 2 });
  const tables = [0, 1].map(() => ["a", "b", "c", "d"].map((node) => shardOf(node)));
  const [before, after] = tables.map((shards) => shards.map((shard) => book.replicas(shard)[0]!));
  expect(after!.map((placement, n) => placement === before![n])).toEqual([true, true, true, true]);
});

describe("who waits for room", () => {
  const both = () => {
    const book = bookOf();
    const [a, b] = book.replicas(shardOf("a", "b")) as [PlacementLoad, PlacementLoad];
    a.begin(0);
    b.begin(0);
    const wait = () => {
      const guest = new Guest();
      guest.leave = book.wait([a, b], guest, "ask");
      return guest;
    };
    return { a, b, wait };
  };

  test("is let in once, by the first that has room, and is in no other's list from then on", () => {
    const { a, b, wait } = both();
    const guests = [wait(), wait(), wait()];
    expect([a.waitingCount, b.waitingCount]).toEqual([3, 3]);
    a.replied(method, 1, 1);
    a.replied(method, 1, 2);
    expect(guests.map(({ at }) => at)).toEqual([a, a, undefined]);
    expect([a.waitingCount, b.waitingCount]).toEqual([1, 1]);
    b.replied(method, 1, 3);
    expect(guests[2]!.at).toBe(b);
    expect([a.waitingCount, b.waitingCount]).toEqual([0, 0]);
  });

  test("who gives up is in no list, and is let in by nobody", () => {
    const { a, b, wait } = both();
    const [gone, stays] = [wait(), wait()];
    gone.leave();
    expect([a.waitingCount, b.waitingCount]).toEqual([1, 1]);
    b.replied(method, 1, 1);
    expect([gone.at, stays.at]).toEqual([undefined, b]);
  });

  test("does not pile up at a placement that says nothing, however many pass by", () => {
    const { a, b, wait } = both();
    for (let n = 0; n < 1_000; n++) {
      wait();
      a.replied(method, 1, n);
    }
    expect(b.waitingCount).toBe(0);
  });
});
