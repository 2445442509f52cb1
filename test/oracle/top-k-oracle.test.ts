import { describe, expect, test } from "vitest";
import { startMerge } from "../../src/gateway/merge/start-merge.ts";
import { driveMerge, type Seeded, seeded } from "./drive-merge.ts";
import {
  bruteForce,
  describeAnswer,
  type Entry,
  ORDERS,
  PLAN,
  type Question,
  RESPONSE,
  requestOf,
  type Shard,
  SimulatedShards,
} from "./simulated-shards.ts";

const LIMITS = { groupBytesMax: 2 ** 31 };

function drive(simulated: SimulatedShards, question: Question, random: Seeded, fails?: (shard: number) => boolean) {
  const merge = startMerge(PLAN, requestOf(question), [...simulated.shards.keys()], LIMITS);
  return driveMerge(
    merge,
    RESPONSE,
    (request) => (fails?.(request.shard) ? "fail" : simulated.answer(request, question)),
    (items) => random.shuffle(items),
  );
}

function entry(total: bigint, count: bigint, greatest = total): Entry {
  return { total, count, greatest, weight: Number(total) };
}

/** `GROUPS` groups spread over the shards; `totalOf` says what a group is worth on a shard, if it is there. */
function spread(shards: number, groups: number, entryOf: (rank: number, shard: number) => Entry | undefined): Shard[] {
  return Array.from({ length: shards }, (_, shard) => {
    const held = new Map<string, Entry>();
    for (let rank = 0; rank < groups; rank++) {
      const one = entryOf(rank, shard);
      if (one !== undefined) held.set(`group-${(rank * 7919) % groups}`, one);
    }
    return held;
  });
}

const GROUPS = 100_000;
const random = seeded(20260611);
const zipf = (rank: number) => 1e9 / (rank + 1);

interface Heavy {
  readonly name: string;
  readonly shards: number;
  readonly question: Question;
  /** Most of all groups' bytes that may travel. */
  readonly share: number;
  readonly entryOf: (rank: number, shard: number, shards: number) => Entry | undefined;
}

const down = (order: Question["order"], limit = 10, offset = 0): Question => ({
  limit,
  offset,
  order,
  ascending: false,
});

const HEAVY: readonly Heavy[] = [
  {
    name: "skewed sums on all of 16 shards",
    shards: 16,
    question: down("total", 10, 5),
    share: 0.05,
    entryOf: (rank) => entry(BigInt(Math.round(zipf(rank) * (0.5 + random.unit()))), 1n + BigInt(random.below(9))),
  },
  {
    name: "skewed sums, each group mostly on one of 4 shards",
    shards: 4,
    question: down("total", 20),
    share: 0.05,
    entryOf: (rank, shard, shards) => {
      const isHome = rank % shards === shard;
      return entry(BigInt(Math.round(isHome ? zipf(rank) : zipf(rank) * 0.01 * random.unit())), 3n);
    },
  },
  {
    name: "skewed float sums on 4 shards",
    shards: 4,
    question: down("weight"),
    share: 0.05,
    entryOf: (rank) => entry(BigInt(Math.round(zipf(rank) * random.unit())), 2n),
  },
  {
    name: "greatest values on 4 shards",
    shards: 4,
    question: down("greatest"),
    share: 0.05,
    entryOf: (rank) => entry(BigInt(rank), 1n, BigInt(random.below(2 ** 31))),
  },
  {
    name: "flat sums on 4 shards",
    shards: 4,
    question: down("total"),
    share: 1.5,
    entryOf: () => entry(BigInt(1000 + random.below(20)), 1n),
  },
  {
    name: "ties everywhere on 4 shards",
    shards: 4,
    question: down("total", 50),
    share: 1.5,
    entryOf: () => entry(1n, 1n),
  },
  {
    name: "negative summands on 4 shards",
    shards: 4,
    question: down("total"),
    share: 1.5,
    entryOf: (rank) => entry(BigInt(Math.round(zipf(rank) * (random.unit() - 0.5))), 1n),
  },
  {
    name: "means of few and of many on 4 shards",
    shards: 4,
    question: down("mean"),
    share: 1.5,
    entryOf: () => {
      const count = 1 + random.below(40);
      return entry(BigInt(Math.round(count * (50 + (100 * (random.unit() - 0.5)) / Math.sqrt(count)))), BigInt(count));
    },
  },
  {
    name: "least sums first on 4 shards",
    shards: 4,
    question: { ...down("total"), ascending: true },
    share: 1.5,
    entryOf: (rank) => (random.below(3) === 0 ? undefined : entry(BigInt(Math.round(zipf(rank))), 1n)),
  },
];

describe("the first of 100,000 groups", () => {
  test.each(HEAVY)("$name: exact, in three rounds, with at most its share of the bytes", async (heavy) => {
    const { shards, question, share, entryOf } = heavy;
    const simulated = new SimulatedShards(spread(shards, GROUPS, (rank, shard) => entryOf(rank, shard, shards)));
    const driven = await drive(simulated, question, random);
    expect(describeAnswer(driven.message)).toEqual(bruteForce(simulated.shards, question));
    expect(driven.rounds).toBeLessThanOrEqual(3);
    const part = driven.bytes / simulated.allBytes();
    if (process.env.SHOW_SHARES !== undefined) console.log(heavy.name, driven.rounds, "rounds", part.toFixed(4));
    expect(part).toBeLessThan(share);
  });
});

describe("small searches of every kind", () => {
  const cases = 400;

  test("equal brute force in three rounds, whatever the distribution, the order and the window", async () => {
    for (let seed = 0; seed < cases; seed++) {
      const small = seeded(seed);
      const { simulated, question } = smallCase(small);
      const driven = await drive(simulated, question, small);
      expect(describeAnswer(driven.message), `seed ${seed}`).toEqual(bruteForce(simulated.shards, question));
      expect(driven.rounds, `seed ${seed}`).toBeLessThanOrEqual(3);
    }
  });

  test("a shard given up in any round takes no part in the answer", async () => {
    let late = 0;
    for (let seed = 0; seed < cases; seed++) {
      const small = seeded(seed + 7000);
      const { simulated, question } = smallCase(small);
      const unlucky = small.below(simulated.shards.length);
      let calls = 0;
      const failingCall = small.below(4);
      let hasFailed = false;
      const driven = await drive(simulated, question, small, (shard) => {
        const fails = shard === unlucky && calls++ >= failingCall;
        hasFailed ||= fails;
        if (fails && calls > 1) late += 1;
        return fails;
      });
      const taking = simulated.shards.filter((_, shard) => !hasFailed || shard !== unlucky);
      expect(describeAnswer(driven.message), `seed ${seed}`).toEqual(bruteForce(taking, question));
      expect((driven.message as unknown as { shards: bigint }).shards, `seed ${seed}`).toBe(BigInt(taking.length));
      expect(driven.rounds, `seed ${seed}`).toBeLessThanOrEqual(5);
    }
    expect(late).toBeGreaterThan(10);
  });
});

/** Few wanted of a few hundred, so that the first depth does not simply exhaust the shards. */
function smallCase(small: Seeded): { simulated: SimulatedShards; question: Question } {
  const shape = small.below(5);
  const groups = small.pick([5, 200, 600]);
  const shards = small.pick([1, 2, 3, 7]);
  const holds = small.pick([0.3, 0.9]);
  const worth = (rank: number): number => {
    if (shape === 0) return Math.round(1e6 / (rank + 1));
    if (shape === 1) return small.below(4);
    if (shape === 2) return small.below(2001) - 1000;
    if (shape === 3) return -Math.round(1e6 / (rank + 1));
    return Math.round((1e6 / (rank + 1)) * (small.unit() - 0.3));
  };
  const entryOf = (rank: number) => {
    if (small.unit() > holds) return undefined;
    const total = BigInt(worth(rank));
    return entry(total, BigInt(1 + small.below(5)), BigInt(worth(rank)));
  };
  const question: Question = {
    limit: small.pick([1, 3, 10]),
    offset: small.pick([0, 0, 2]),
    order: small.pick(ORDERS),
    ascending: small.below(3) === 0,
  };
  return { simulated: new SimulatedShards(spread(shards, groups, entryOf)), question };
}
