import { create, type Message, type MessageInitShape } from "@bufbuild/protobuf";
import fc from "fast-check";
import { expect, test } from "vitest";
import { unsliced } from "../../src/accumulator/sliced-sort.ts";
import { startMerge } from "../../src/gateway/merge/start-merge.ts";
import { compileMethod } from "../../src/merge-plan/compile-method.ts";
import { requestWindow, rowsForWindow } from "../../src/merge-plan/request-window.ts";
import type { Fields } from "../../src/service/serve/part-field.ts";
import { rankGroups } from "../../src/service/serve/rank-groups.ts";
import { Role } from "../../src/wire/generated/skynetes/v1/merge_pb.ts";
import { methodsOf, rule } from "../merge-plan/annotated-service.ts";
import { driveMerge, type Seeded, seeded } from "../oracle/drive-merge.ts";

const RANKED = ["whole", "natural", "real", "money", "least", "mean_whole", "mean_real", "mean_money"] as const;
const METHOD = methodsOf({
  enums: {
    Order: RANKED.flatMap((field) => [
      [`${field}_DOWN`, { field }] as const,
      [`${field}_UP`, { field, ascending: true }] as const,
    ]),
  },
  messages: {
    Req: [
      { name: "limit", type: "int32", role: Role.LIMIT },
      { name: "order", type: "Order", role: Role.ORDER },
      { name: "only", type: "repeated string", role: Role.KEY_FILTER },
    ],
    Entry: [
      { name: "k", type: "string" },
      { name: "whole", type: "int64", merge: rule("sum") },
      { name: "natural", type: "uint64", merge: rule("sum") },
      { name: "real", type: "double", merge: rule("sum") },
      { name: "money", type: "Decimal", merge: rule("sum") },
      { name: "least", type: "optional int32", merge: rule("min") },
      { name: "count", type: "int32", merge: rule("sum") },
      { name: "mean_whole", type: "optional double", merge: rule("avg", { sum: "whole", count: "count" }) },
      { name: "mean_real", type: "optional double", merge: rule("avg", { sum: "real", count: "count" }) },
      { name: "mean_money", type: "optional double", merge: rule("avg", { sum: "money", count: "count" }) },
    ],
    Res: [{ name: "groups", type: "repeated Entry", merge: rule("group", { key: ["k"], top: {} }) }],
  },
})[0]!;
const PLAN = compileMethod(METHOD);
const LIMITS = { groupBytesMax: 2 ** 30 };

/** More than the gateway asks a shard for at first, so that there is something to cut off. */
const GROUPS = 200;
const LETTERS = ["a", "Z", "é", "\uff5e", "\u{1f600}"];

/** Few distinct values: ties at every cut. Now and then a field is left out. */
function groupsOf({ below, pick, unit }: Seeded): readonly Fields[] {
  const hasOddFloats = below(4) === 0;
  const keys = new Set<string>();
  while (keys.size < GROUPS) keys.add(Array.from({ length: 4 }, () => pick(LETTERS)).join(""));
  return [...keys].map((k) => {
    const fields = {
      whole: BigInt(below(7) - 3) * pick([1n, 2n ** 52n + 1n]),
      natural: BigInt(below(3)) + pick([0n, 2n ** 60n]),
      real: hasOddFloats ? pick([-0, 0, 0.1, 1e16, Number.NaN, Infinity]) : pick([0.1, 0.2, -0.3, 1e16, -1e16, 7]),
      money: { value: pick(["1.5", "1.50", "-2", "0.30", "99999999999999999999.01"]) },
      least: below(7) - 3,
      count: below(4),
    };
    return { k, ...Object.fromEntries(Object.entries(fields).filter(() => unit() < 0.97)) };
  });
}

/** The global list as the gateway puts it together when the kit has cut each shard's list, or when nobody has. */
async function listOf(parts: readonly (readonly Fields[])[], request: Message, isCut: boolean): Promise<Message> {
  const all = parts.map((_, shard) => shard);
  const driven = await driveMerge(startMerge(PLAN, request, all, LIMITS), METHOD.output, ({ shard, request }) => {
    if (!isCut) return { message: response(parts[shard]!) };
    const ranked = rankedByKit(parts[shard]!, request);
    return { message: response(ranked.groups), bounds: ranked.bounds };
  });
  return driven.message;
}

function rankedByKit(groups: readonly Fields[], request: Message) {
  if (PLAN.merge.kind !== "message" || PLAN.merge.top === undefined) throw new Error("the method has top groups");
  const wanted = rowsForWindow(requestWindow(PLAN, request)) ?? Number.POSITIVE_INFINITY;
  return unsliced(rankGroups(PLAN, PLAN.merge.top, request, groups, wanted));
}

function response(groups: readonly Fields[]): Message {
  return create(METHOD.output, { groups } as unknown as MessageInitShape<typeof METHOD.output>);
}

const question = fc.record({
  order: fc.integer({ min: 0, max: 2 * RANKED.length - 1 }),
  limit: fc.integer({ min: 1, max: 5 }),
});

test("what the kit cuts off, the gateway would not have shown: in every order, with ties and absences", () =>
  fc.assert(
    fc.asyncProperty(fc.integer(), fc.integer({ min: 1, max: 3 }), question, async (seed, count, init) => {
      const random = seeded(seed);
      const parts = Array.from({ length: count }, () => groupsOf(random));
      const request = create(METHOD.input, init as unknown as MessageInitShape<typeof METHOD.input>);
      expect(await listOf(parts, request, true)).toEqual(await listOf(parts, request, false));
    }),
    {
      numRuns: 200,
      // A sum counted zero times, which no bound of a mean covers.
      examples: [[26, 2, { order: 11, limit: 1 }]],
    },
  ));

test("the kit's list of a shard is the gateway's list over that shard alone", () =>
  fc.assert(
    fc.asyncProperty(fc.integer(), question, async (seed, init) => {
      const groups = groupsOf(seeded(seed));
      const request = create(METHOD.input, { ...init, limit: GROUPS } as unknown as MessageInitShape<
        typeof METHOD.input
      >);
      const answer = (await listOf([groups], request, false)) as unknown as { readonly groups: readonly Fields[] };
      expect(rankedByKit(groups, request).groups.map(({ k }) => k)).toEqual(answer.groups.map(({ k }) => k));
    }),
    { numRuns: 200 },
  ));
