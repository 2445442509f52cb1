import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { PlacementBook } from "../../../src/gateway/scatter/placement-book.ts";
import type { PlacementLoad } from "../../../src/gateway/scatter/placement-load.ts";
import { chooseReplica } from "../../../src/gateway/scatter/replica-choice.ts";
import { SCATTER_POLICY } from "../../../src/gateway/scatter/scatter-policy.ts";
import { VirtualClock } from "../../process/virtual-clock.ts";

const policy = SCATTER_POLICY.replica;
const endpoints = ["a", "b", "c", "d"].map((node) => ({ node, address: `${node}:1` }));

function shardOf(count: number) {
  const book = new PlacementBook(SCATTER_POLICY, new VirtualClock());
  const method = book.method("/p.S/M");
  const replicas = book.replicas(endpoints.slice(0, count));
  const reply = (placement: PlacementLoad, ms: number, at: number) => {
    placement.begin(at - ms);
    placement.replied(method, ms, at);
  };
  const choose = (turn: number, now: number, tried: readonly PlacementLoad[] = []) =>
    chooseReplica({ book, replicas, method, tried: tried.map((placement) => ({ placement })), policy, turn, now });
  return { book, method, replicas, reply, choose };
}

describe("of the replicas", () => {
  test("the faster one is asked, while neither has many calls under way", () => {
    const { replicas, reply, choose } = shardOf(2);
    const [a, b] = replicas as [PlacementLoad, PlacementLoad];
    reply(a, 50, 100);
    reply(b, 5, 100);
    for (let turn = 0; turn < 10; turn++) expect(choose(turn, 101)?.placement).toBe(b);
  });

  test("the one with few calls under way is asked, however fast the other is", () => {
    const { replicas, reply, choose } = shardOf(2);
    const [a, b] = replicas as [PlacementLoad, PlacementLoad];
    reply(a, 50, 100);
    reply(b, 5, 100);
    for (let i = 0; i < 30; i++) b.begin(100);
    for (let turn = 0; turn < 3; turn++) expect(choose(turn, 100)?.placement).toBe(a);
  });

  test("of like ones, the one with fewer calls under way; of equals, each in its turn", () => {
    const { replicas, reply, choose } = shardOf(3);
    for (const one of replicas) reply(one, 5, 100);
    expect([0, 1, 2, 3].map((turn) => choose(turn, 101)?.placement.endpoint.node)).toEqual(["a", "b", "c", "a"]);
    const [a, b] = replicas as [PlacementLoad, PlacementLoad];
    a.begin(101);
    reply(b, 6, 101);
    const chosen = new Set(Array.from({ length: 12 }, (_, turn) => choose(turn, 101)?.placement.endpoint.node));
    expect(chosen).toEqual(new Set(["b", "c"]));
  });

  test("one that is silent with calls under way is as slow as its silence is long", () => {
    const { replicas, reply, choose, method } = shardOf(2);
    const [a, b] = replicas as [PlacementLoad, PlacementLoad];
    reply(a, 5, 100);
    reply(b, 5, 100);
    a.begin(100);
    b.begin(100);
    b.begin(100);
    expect(choose(0, 101)?.placement).toBe(a);
    b.replied(method, 5, 150);
    b.begin(150);
    // Whichever has the turn, and although it has fewer calls under way.
    for (const turn of [0, 1]) expect(choose(turn, 151)?.placement).toBe(b);
    a.replied(method, 60, 160);
    a.begin(160);
    for (const turn of [0, 1]) expect(choose(turn, 190)?.placement).toBe(a);
  });

  test("one of which nothing is known gets a few calls and not first place", () => {
    const { replicas, reply, choose } = shardOf(2);
    const [a, b] = replicas as [PlacementLoad, PlacementLoad];
    reply(a, 50, 100);
    for (let i = 0; i < 30; i++) {
      const { placement } = choose(i, 101)!;
      placement.begin(101);
    }
    expect(b.inFlight).toBe(policy.unknownInFlightMax);
    expect(a.inFlight).toBe(30 - policy.unknownInFlightMax);
  });

  test("when nothing is known of any, all are asked", () => {
    const { replicas, choose } = shardOf(2);
    for (let i = 0; i < 40; i++) choose(i, 1)!.placement.begin(1);
    expect(replicas.map(({ inFlight }) => inFlight)).toEqual([20, 20]);
  });

  test("those that failed are left out, but never more than half of them", () => {
    for (const count of [1, 2, 3, 4]) {
      const { replicas, choose } = shardOf(count);
      for (const [i, one] of replicas.entries()) one.eject(i);
      const asked = new Set(Array.from({ length: 24 }, (_, turn) => choose(turn, 10)?.placement));
      expect(asked.size).toBe(count - Math.floor(count / 2));
      // The ones that were left out first come back first.
      expect(asked).toEqual(new Set(replicas.slice(0, asked.size)));
      expect(new Set(Array.from({ length: 24 }, (_, turn) => choose(turn, 5_000)?.placement)).size).toBe(count);
    }
  });

  test("none is no replica", () => {
    expect(shardOf(0).choose(0, 0)).toBeUndefined();
  });
});

test("whatever is known: one is chosen, and a worse one only where there is no better", () => {
  const state = fc.record({
    inFlight: fc.integer({ min: 0, max: 300 }),
    latencyMs: fc.option(fc.integer({ min: 1, max: 500 })),
    isEjected: fc.boolean(),
    isTried: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(state, { minLength: 1, maxLength: 4 }), fc.nat(1000), (states, turn) => {
      const { replicas, reply, choose } = shardOf(states.length);
      for (const [i, { inFlight, latencyMs, isEjected }] of states.entries()) {
        if (isEjected) replicas[i]!.eject(900);
        if (latencyMs !== null) reply(replicas[i]!, latencyMs, 1_000);
        for (let n = 0; n < inFlight; n++) replicas[i]!.begin(1_000);
      }
      const tried = replicas.filter((_, i) => states[i]!.isTried);
      const { placement, standing } = choose(turn, 1_000, tried)!;
      expect(replicas).toContain(placement);
      if (tried.includes(placement)) expect(tried.length).toBe(replicas.length);
      if (standing === "full") expect(placement.isFull).toBe(true);
      if (standing === "left-out") {
        const rest = replicas.filter((one) => !tried.includes(one));
        expect(rest.every(({ ejectedUntil }) => ejectedUntil > 1_000)).toBe(true);
      }
    }),
  );
});
