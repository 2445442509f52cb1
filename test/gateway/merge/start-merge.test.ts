import {
  create,
  type DescMessage,
  fromBinary,
  type Message,
  type MessageInitShape,
  toBinary,
} from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  DelayService,
  Order,
  SummarizeRequestSchema,
  SummarizeResponseSchema,
  type TopDestinationsRequest,
  TopDestinationsRequestSchema,
  TopDestinationsResponseSchema,
} from "../../../examples/flights/generated/flights/v1/delay_pb.ts";
import { heldBytes } from "../../../src/gateway/merge/held-bytes.ts";
import type { MergeExecution } from "../../../src/gateway/merge/merge-execution.ts";
import { startMerge } from "../../../src/gateway/merge/start-merge.ts";
import type { ShardRequest } from "../../../src/gateway/plan/shard-request.ts";
import { compileMethod } from "../../../src/merge-plan/compile-method.ts";
import { TopBoundsSchema } from "../../../src/wire/generated/skynetes/v1/stamp_pb.ts";
import { methodsOf, rule } from "../../merge-plan/annotated-service.ts";

const LIMITS = { groupBytesMax: 2 ** 20 };
const SUMMARIZE = compileMethod(DelayService.method.summarize);
const TOP = compileMethod(DelayService.method.topDestinations);

function summarizeOver(shards: readonly number[]) {
  return startMerge(SUMMARIZE, create(SummarizeRequestSchema), shards, LIMITS);
}

function summary(init: MessageInitShape<typeof SummarizeResponseSchema>): Message {
  return create(SummarizeResponseSchema, init);
}

function partial(request: ShardRequest, message: Message, bounds?: MessageInitShape<typeof TopBoundsSchema>) {
  const bytes = toBinary(schemaOf(message), message);
  return { shard: request.shard, request, message: bytes, bounds: bounds && create(TopBoundsSchema, bounds) };
}

function schemaOf({ $typeName }: Message): DescMessage {
  const schemas = [SummarizeResponseSchema, TopDestinationsResponseSchema, EVERYTHING.output];
  return schemas.find(({ typeName }) => typeName === $typeName)!;
}

function bytesOf(merge: MergeExecution): Uint8Array {
  return Buffer.concat(merge.finish());
}

function summed(merge: MergeExecution) {
  return fromBinary(SummarizeResponseSchema, bytesOf(merge));
}

function ranked(merge: MergeExecution) {
  return fromBinary(TopDestinationsResponseSchema, bytesOf(merge));
}

describe("one round", () => {
  test("a shard enters a merge once: a second partial is an assertion", () => {
    const merge = summarizeOver([0, 1]);
    const [first] = merge.begin();
    merge.accept(partial(first!, summary({ flights: 1n })));
    expect(() => merge.accept(partial(first!, summary({ flights: 1n })))).toThrow(/enters the merge a second time/);
  });

  test("an answer is not finished while a shard is pending", () => {
    const merge = summarizeOver([0, 1]);
    const [first] = merge.begin();
    merge.accept(partial(first!, summary({ flights: 1n })));
    expect(() => merge.finish()).toThrow(/requests are pending/);
  });

  test("a shard given up takes no part, even if it answers after all", () => {
    const merge = summarizeOver([0, 1]);
    const [first, second] = merge.begin();
    merge.accept(partial(first!, summary({ flights: 2n, maxDelayMinutes: 7n })));
    merge.exclude(1);
    merge.accept(partial(second!, summary({ flights: 40n, maxDelayMinutes: 90n })));
    expect(summed(merge)).toMatchObject({ flights: 2n, maxDelayMinutes: 7n });
  });

  test("a shard that is merged already cannot be given up", () => {
    const merge = summarizeOver([0, 1]);
    const [first] = merge.begin();
    merge.accept(partial(first!, summary({ flights: 2n })));
    expect(() => merge.exclude(0)).toThrow(/merged already/);
  });

  test("over no rows, and over no shards: sums are zero, the others absent", () => {
    const over = (shards: readonly number[]) => {
      const merge = summarizeOver(shards);
      for (const request of merge.begin()) merge.accept(partial(request, summary({ meanDelayMinutes: 5 })));
      return bytesOf(merge).length;
    };
    expect([over([]), over([0]), over([0, 1, 2])]).toEqual([0, 0, 0]);
  });

  test("the mean is worked out from the sums, whatever the shards say", () => {
    const merge = summarizeOver([0, 1]);
    const [first, second] = merge.begin();
    merge.accept(partial(first!, summary({ flights: 1n, totalDelayMinutes: 10n, meanDelayMinutes: 999 })));
    merge.accept(partial(second!, summary({ flights: 3n, totalDelayMinutes: 0n, meanDelayMinutes: -999 })));
    expect(summed(merge)).toMatchObject({ meanDelayMinutes: 2.5 });
  });

  test("int64 beyond 2^53 is exact; beyond 2^63 it is an overflow", () => {
    const sumOf = (...flights: bigint[]) => {
      const merge = summarizeOver([...flights.keys()]);
      for (const request of merge.begin())
        merge.accept(partial(request, summary({ flights: flights[request.shard]! })));
      return summed(merge).flights;
    };
    expect(sumOf(2n ** 53n, 1n)).toBe(9007199254740993n);
    expect(() => sumOf(2n ** 63n - 1n, 1n)).toThrow(/does not fit int64/);
  });
});

const EVERYTHING = methodsOf({
  messages: {
    Req: [],
    Price: [
      { name: "amount", type: "Decimal" },
      { name: "unit", type: "double" },
    ],
    Inner: [
      { name: "n", type: "int32", merge: rule("sum") },
      { name: "top", type: "optional double", merge: rule("max") },
    ],
    Row: [
      { name: "k", type: "optional string" },
      { name: "at", type: "Timestamp" },
      { name: "name", type: "string", merge: rule("first") },
      { name: "amount", type: "Decimal", merge: rule("sum") },
      { name: "inner", type: "Inner", merge: rule("nested") },
    ],
    Res: [
      { name: "rows", type: "repeated Row", merge: rule("group", { key: ["k", "at"] }) },
      { name: "tags", type: "repeated string", merge: rule("concat") },
      { name: "marks", type: "repeated double", merge: rule("distinct") },
      { name: "prices", type: "repeated Price", merge: rule("distinct") },
      { name: "inner", type: "Inner", merge: rule("nested") },
      { name: "ratio", type: "float", merge: rule("sum") },
      { name: "label", type: "string", merge: rule("first") },
      { name: "bits", type: "uint64", merge: rule("bitOr") },
    ],
  },
})[0]!;
const EVERYTHING_PLAN = compileMethod(EVERYTHING);

const inner = fc.record({ n: fc.integer({ min: -9, max: 9 }), top: fc.option(fc.double(), { nil: undefined }) });
const everything = fc.record({
  rows: fc.array(
    fc.record({
      k: fc.option(fc.constantFrom("", "a", "｡", "😀"), { nil: undefined }),
      at: fc.option(fc.constantFrom({ seconds: 1n, nanos: 2 }, { seconds: -1n, nanos: 0 }), { nil: undefined }),
      name: fc.constantFrom("", "x", "y"),
      amount: fc.option(fc.constantFrom({ value: "1.50" }, { value: "-2" }), { nil: undefined }),
      inner: fc.option(inner, { nil: undefined }),
    }),
    { maxLength: 5 },
  ),
  tags: fc.array(fc.string({ maxLength: 2 }), { maxLength: 3 }),
  marks: fc.array(fc.constantFrom(0, -0, 1.5, Number.NaN, Infinity), { maxLength: 4 }),
  prices: fc.array(
    fc.record({ amount: fc.constantFrom({ value: "1.5" }, { value: "1.50" }), unit: fc.constantFrom(0, -0, 1) }),
    { maxLength: 3 },
  ),
  inner: fc.option(inner, { nil: undefined }),
  ratio: fc.float({ noNaN: true, noDefaultInfinity: true, min: -1000, max: 1000 }),
  label: fc.constantFrom("", "one", "two"),
  bits: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
});

describe("the same partials give the same bytes", () => {
  const bytesOf = (messages: readonly Record<string, unknown>[], order: readonly number[], sliced: boolean) => {
    const merge = startMerge(EVERYTHING_PLAN, create(EVERYTHING.input), [...messages.keys()], LIMITS);
    const requests = merge.begin();
    const running = order.map((shard) => {
      const one = partial(requests[shard]!, create(EVERYTHING.output, messages[shard]));
      if (!sliced) merge.accept(one);
      return sliced ? merge.acceptSlices(one) : undefined;
    });
    // Slices of several partials run in turns.
    let open = running.filter((one) => one !== undefined);
    while (open.length > 0) open = open.filter((one) => !one.next().done);
    return Buffer.concat(merge.finish());
  };

  test("in whatever order they arrive, whole or in slices", () => {
    const cases = fc
      .array(everything, { minLength: 1, maxLength: 6 })
      .chain((list) => fc.tuple(fc.constant(list), fc.shuffledSubarray([...list.keys()], { minLength: list.length })));
    fc.assert(
      fc.property(cases, fc.boolean(), ([list, order], sliced) => {
        const messages = list as unknown as Record<string, unknown>[];
        expect(bytesOf(messages, order, sliced)).toEqual(bytesOf(messages, [...messages.keys()], false));
      }),
    );
  });

  test("a Decimal that is none is a bad partial of its shard, which cannot be left out any more", () => {
    const merge = startMerge(EVERYTHING_PLAN, create(EVERYTHING.input), [0, 1], LIMITS);
    const [, second] = merge.begin();
    const broken = create(EVERYTHING.output, { rows: [{ k: "a", amount: { value: "1e5" } }] } as Record<
      string,
      unknown
    >);
    expect(() => merge.accept(partial(second!, broken))).toThrow(/partial of shard 1: .*"1e5" is no decimal number/);
    expect(() => merge.exclude(1)).toThrow(/"1e5" is no decimal number/);
  });

  test("groups beyond the ceiling are an error, not an ever growing heap", () => {
    const merge = startMerge(EVERYTHING_PLAN, create(EVERYTHING.input), [0], { groupBytesMax: 50_000 });
    const [first] = merge.begin();
    const rows = Array.from({ length: 1000 }, (_, index) => ({ k: `group ${index}` }));
    const message = create(EVERYTHING.output, { rows } as Record<string, unknown>);
    expect(() => merge.accept(partial(first!, message))).toThrow(
      expect.objectContaining({ id: "answer-too-large" }) as unknown as Error,
    );
  });
});

test("what is kept of a partial while the first groups are searched is counted whole", () => {
  let held = 0;
  const limits = {
    groupBytesMax: 2 ** 24,
    hold: (bytes: number) => {
      held += bytes;
    },
  };
  const merge = startMerge(TOP, create(TopDestinationsRequestSchema, { limit: 3 }), [0, 1], limits);
  const [first] = merge.begin();
  const long = top(Array.from({ length: 67 }, (_, i) => [`${i} ${"x".repeat(10_000)}`, 100 - i]));
  const sent = partial(first!, long, bounds(34, 1));
  merge.accept(sent);
  expect(held).toBeGreaterThan(sent.message.length);
});

test("a partial of empty groups takes no more memory than one may", () => {
  const merge = startMerge(TOP, create(TopDestinationsRequestSchema, { limit: 3 }), [0], { groupBytesMax: 2 ** 24 });
  const [first] = merge.begin();
  // Each of them is a tag and a length of zero.
  const empty = new Uint8Array(16 * 2 ** 20);
  const { number } = TopDestinationsResponseSchema.field.destinations;
  for (let at = 0; at < empty.length; at += 2) empty[at] = (number << 3) | 2;
  const before = process.memoryUsage().arrayBuffers;
  expect(() => merge.accept({ shard: 0, request: first!, message: empty, bounds: undefined })).toThrow(
    expect.objectContaining({ id: "answer-too-large" }) as unknown as Error,
  );
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(600 * 2 ** 20);
});

type Group = readonly [string, number];

/** A shard's first groups by flights. */
function top(groups: readonly Group[]): Message {
  return create(TopDestinationsResponseSchema, {
    destinations: groups.map(([destination, flights]) => ({ destination, flights: BigInt(flights) })),
  });
}

function bounds(kth: number, last: number, groups = 1000n): MessageInitShape<typeof TopBoundsSchema> {
  const scalar = (value: number) => ({ value: { case: "integer" as const, value: BigInt(value) } });
  return { field: "flights", kth: scalar(kth), last: scalar(last), exhausted: false, groups };
}

function topOver(
  shards: readonly number[],
  init: MessageInitShape<typeof TopDestinationsRequestSchema> = { limit: 1 },
) {
  const request = create(TopDestinationsRequestSchema, { order: Order.FLIGHTS, ...init });
  return startMerge(TOP, request, shards, { ...LIMITS, keysPerRequestMax: 2 });
}

const asked = ({ request }: ShardRequest) => request as TopDestinationsRequest;

describe("top groups", () => {
  test("what bounds cannot exclude is asked for by key, in requests of bounded size", () => {
    const merge = topOver([0, 1]);
    const [a, b] = merge.begin();
    expect(asked(a!).limit).toBeGreaterThanOrEqual(1);
    merge.accept(
      partial(
        a!,
        top([
          ["A", 100],
          ["B", 95],
          ["C", 94],
          ["D", 10],
        ]),
        bounds(10, 0),
      ),
    );
    merge.accept(
      partial(
        b!,
        top([
          ["X", 30],
          ["Y", 20],
        ]),
        bounds(20, 0),
      ),
    );
    const round = merge.next();
    expect(round.map((request) => [request.shard, asked(request).only, asked(request).limit])).toEqual([
      [1, ["A", "B"], 0],
      [1, ["C"], 0],
    ]);
    merge.accept(partial(round[0]!, top([["B", 15]])));
    merge.accept(partial(round[1]!, top([])));
    expect(merge.next()).toEqual([]);
    expect(ranked(merge)).toMatchObject({ destinations: [{ destination: "B", flights: 110n }] });
  });

  test("equal values are told apart by key, so an unseen group that may tie is not excluded", () => {
    const merge = topOver([0, 1]);
    const [a, b] = merge.begin();
    merge.accept(
      partial(
        a!,
        top([
          ["M", 10],
          ["N", 5],
        ]),
        bounds(5, 5, 9n),
      ),
    );
    merge.accept(partial(b!, top([["O", 5]]), bounds(5, 5, 9n)));
    expect(merge.next().length).toBeGreaterThan(0);
  });

  test("without bounds all groups travel, and the answer is exact", () => {
    const merge = topOver([0, 1], { limit: 1 });
    const many = (from: number) => Array.from({ length: 65 }, (_, index): Group => [`G${from + index}`, 5]);
    for (const request of merge.begin()) merge.accept(partial(request, top(many(request.shard * 60))));
    const round = merge.next();
    expect(round.map((request) => asked(request).limit)).toEqual([0, 0]);
    for (const request of round) merge.accept(partial(request, top([...many(request.shard * 60), ["Z", 4]])));
    expect(merge.next()).toEqual([]);
    expect(ranked(merge)).toMatchObject({ destinations: [{ destination: "G60", flights: 10n }] });
  });

  describe("memory is counted once for what is held once", () => {
    const bytesOf = (...parts: readonly (readonly Group[])[]) =>
      parts
        .flatMap((groups) => (top(groups) as unknown as { destinations: Message[] }).destinations)
        .reduce((bytes, group) => bytes + heldBytes(group), 0);
    const topWithin = (groupBytesMax: number) => {
      const request = create(TopDestinationsRequestSchema, { order: Order.FLIGHTS, limit: 1 });
      return startMerge(TOP, request, [0, 1], { groupBytesMax });
    };

    test("groups that a shard sends again, deeper, take the place of the first", () => {
      const shallow: Group[][] = [
        [
          ["M", 10],
          ["N", 5],
        ],
        [
          ["O", 10],
          ["Q", 5],
        ],
      ];
      const deep = shallow.map((groups, shard) => [...groups, [`P${shard}`, 1] as Group]);
      const merge = topWithin(bytesOf(...deep));
      for (const request of merge.begin()) {
        merge.accept(partial(request, top(shallow[request.shard]!), bounds(5, 5)));
      }
      const deeper = merge.next().filter((request) => asked(request).only.length === 0);
      expect(deeper.length).toBeGreaterThan(0);
      for (const request of deeper) {
        const exhausted = { ...bounds(1, 1, 3n), exhausted: true };
        merge.accept(partial(request, top(deep[request.shard]!), exhausted));
      }
    });

    test("groups that are there when all must travel are not counted again", () => {
      const few: Group[] = [
        ["A", 9],
        ["B", 8],
        ["C", 7],
      ];
      const many = Array.from({ length: 65 }, (_, index): Group => [`G${index}`, 5]);
      const all: Group[] = [...many, ["Z", 4]];
      const merge = topWithin(bytesOf(few, many, all));
      const [a, b] = merge.begin();
      merge.accept(partial(a!, top(few)));
      merge.accept(partial(b!, top(many)));
      const [rest] = merge.next();
      merge.accept(partial(rest!, top(all)));
      expect(merge.next()).toEqual([]);
      expect(ranked(merge)).toMatchObject({ destinations: [{ destination: "A", flights: 9n }] });
    });
  });

  test("a client's own key filter is answered in one round", () => {
    const merge = topOver([0, 1], { limit: 1, only: ["A", "B"] });
    const round = merge.begin();
    expect(round.map((request) => [asked(request).only, asked(request).limit])).toEqual([
      [["A", "B"], 0],
      [["A", "B"], 0],
    ]);
    merge.accept(
      partial(
        round[0]!,
        top([
          ["A", 3],
          ["B", 2],
        ]),
      ),
    );
    merge.accept(partial(round[1]!, top([["B", 2]])));
    expect(merge.next()).toEqual([]);
    expect(ranked(merge)).toMatchObject({ destinations: [{ destination: "B", flights: 4n }] });
  });

  test.each([
    [
      "groups out of order",
      top([
        ["A", 1],
        ["B", 2],
      ]),
      bounds(2, 0),
      /group 1 is out of the order/,
    ],
    ["a bound that is not of the last group", top([["A", 9]]), bounds(7, 0), /its last group is 9, its bound says 7/],
    ["bounds of another field", top([["A", 9]]), { ...bounds(9, 0), field: "delayed" }, /bounds of "delayed"/],
    [
      "a group twice",
      top([
        ["A", 9],
        ["A", 9],
      ]),
      bounds(9, 0),
      /group A is there twice/,
    ],
  ])("%s is a bad partial that names its shard", (_, message, claimed, expected) => {
    const merge = topOver([3, 4]);
    const [, second] = merge.begin();
    expect(() => merge.accept(partial(second!, message, claimed))).toThrow(expected);
    expect(() => merge.accept(partial(merge.begin()[0]!, message, claimed))).toThrow();
  });

  test("a group that was not asked for is a bad partial", () => {
    const merge = topOver([0, 1]);
    const [a, b] = merge.begin();
    merge.accept(
      partial(
        a!,
        top([
          ["A", 100],
          ["B", 10],
        ]),
        bounds(10, 0),
      ),
    );
    merge.accept(partial(b!, top([["X", 30]]), bounds(30, 0)));
    const [keys] = merge.next();
    expect(() => merge.accept(partial(keys!, top([["Q", 1]])))).toThrow(/group Q was not asked for/);
  });
});
