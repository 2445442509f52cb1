import { create, type MessageInitShape, toJson } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { describe, expect, test } from "vitest";
import {
  DelayService,
  type Order,
  SearchRequestSchema,
  SummarizeRequestSchema,
  TopDestinationsRequestSchema,
} from "../../../examples/flights/generated/flights/v1/delay_pb.ts";
import type { Fault } from "../../../src/fault/fault.ts";
import { rewriteRequest } from "../../../src/gateway/plan/rewrite-request.ts";
import { shardPruning } from "../../../src/gateway/plan/shard-pruning.ts";
import { shardRequest } from "../../../src/gateway/plan/shard-request.ts";
import { compileMethod } from "../../../src/merge-plan/compile-method.ts";
import { FilterOperator } from "../../../src/wire/generated/skynetes/v1/merge_pb.ts";
import { type ColumnStatisticsSchema, ShardSealSchema } from "../../../src/wire/generated/skynetes/v1/seal_pb.ts";
import { methodsOf, rule } from "../../merge-plan/annotated-service.ts";

const search = compileMethod(DelayService.method.search);
const top = compileMethod(DelayService.method.topDestinations);
const summarize = compileMethod(DelayService.method.summarize);

describe("what a shard is asked", () => {
  test("limit and offset become enough rows from the first", () => {
    const request = create(SearchRequestSchema, { origin: "LAX", limit: 12, offset: 24 });
    expect(toJson(SearchRequestSchema, shardRequest(search, request) as typeof request)).toEqual({
      origin: "LAX",
      limit: 36,
    });
    expect(request.limit).toBe(12);
  });

  test("keys are put into a request of its own: the client's keeps those that it came with", () => {
    const request = create(TopDestinationsRequestSchema, { limit: 3, only: ["LAX", "SFO"] });
    const rewritten = rewriteRequest(top, request, { limit: undefined, keys: ["JFK"] }) as typeof request;
    expect(toJson(TopDestinationsRequestSchema, rewritten)).toEqual({ only: ["JFK"] });
    expect(toJson(TopDestinationsRequestSchema, request)).toEqual({ limit: 3, only: ["LAX", "SFO"] });
  });

  test("no limit stays none, whatever the offset", () => {
    const request = create(SearchRequestSchema, { offset: 24 });
    expect(toJson(SearchRequestSchema, shardRequest(search, request) as typeof request)).toEqual({});
  });

  test("a limit that its type cannot hold becomes none", () => {
    const request = create(SearchRequestSchema, { limit: 2 ** 31 - 1, offset: 1 });
    expect(toJson(SearchRequestSchema, shardRequest(search, request) as typeof request)).toEqual({});
  });

  test.each([
    [{ limit: -1 }, "/limit"],
    [{ offset: -5 }, "/offset"],
    [{ order: 99 as Order }, "/order"],
  ])("%j is refused, pointing to the field", (init, pointer) => {
    const request = create(TopDestinationsRequestSchema, init);
    try {
      shardRequest(top, request);
      expect.unreachable();
    } catch (error) {
      expect((error as Fault).id).toBe("invalid-request");
      expect((error as Fault).detail.errors?.[0]?.pointer).toBe(pointer);
    }
  });
});

type Bounds = MessageInitShape<typeof ColumnStatisticsSchema>;

function seal(shard: number, columns: readonly Bounds[], rows = 100n) {
  return create(ShardSealSchema, { shard, tables: [{ table: "flights", rows, columns: [...columns] }] });
}

describe("shards left out by the seal", () => {
  const excluded = (request: MessageInitShape<typeof SummarizeRequestSchema>, ...seals: ReturnType<typeof seal>[]) =>
    shardPruning(summarize, create(SummarizeRequestSchema, request), seals).map(({ shard }) => shard);

  test("an equal filter outside of the column's bounds", () => {
    const seals = [
      seal(0, [{ column: "origin", min: "ABE", max: "DEN" }]),
      seal(1, [{ column: "origin", min: "DTW", max: "LAX" }]),
      seal(2, [{ column: "origin", min: "LAX", max: "LAX" }]),
      seal(3, [{ column: "origin", min: "MCO", max: "YUM" }]),
    ];
    expect(excluded({ origin: "LAX" }, ...seals)).toEqual([0, 3]);
    expect(excluded({}, ...seals)).toEqual([]);
    expect(shardPruning(summarize, create(SummarizeRequestSchema, { origin: "LAX" }), seals)[0]!.reason).toBe(
      "flights.origin is at most DEN; asked equal origin",
    );
  });

  test("times: from is inclusive, to exclusive, to the microsecond", () => {
    const dates = seal(0, [{ column: "date", min: "2001-02-01T00:00:00.000001Z", max: "2001-03-01 12:00:00" }]);
    const at = (text: string, nanos = 0) => ({ ...timestampFromDate(new Date(text)), nanos });
    expect(excluded({ from: at("2001-03-01T12:00:00Z") }, dates)).toEqual([]);
    expect(excluded({ from: at("2001-03-01T12:00:00Z", 1) }, dates)).toEqual([0]);
    expect(excluded({ to: at("2001-02-01T00:00:00Z", 1000) }, dates)).toEqual([0]);
    expect(excluded({ to: at("2001-02-01T00:00:00Z", 1001) }, dates)).toEqual([]);
  });

  test("a column without values, a table without rows", () => {
    expect(excluded({ origin: "LAX" }, seal(0, [{ column: "origin", nulls: 100n }]), seal(1, [], 0n))).toEqual([0, 1]);
  });

  test.each([
    ["no statistics of the table", create(ShardSealSchema, { shard: 0 })],
    ["no statistics of the column", seal(0, [])],
    ["no bounds of long values", seal(0, [{ column: "origin", nulls: 1n }])],
    ["bounds that may be numbers", seal(0, [{ column: "origin", min: "1", max: "9" }])],
    ["bounds that may be dates", seal(0, [{ column: "origin", min: "2001-01-01", max: "2001-12-31" }])],
  ])("%s: the shard is asked", (_, only) => {
    expect(excluded({ origin: "LAX" }, only)).toEqual([]);
  });

  test.each([
    ["int64", 9007199254740993n, "9007199254740992", [0]],
    ["int64", 9007199254740992n, "9007199254740992", []],
    ["int64", 5n, "4.5", [0]],
    ["int64", 5n, "inf", []],
    ["double", 0.5, "0.25", [0]],
    ["double", Number.NaN, "0.25", []],
    ["double", 1e300, "nan", []],
    ["Decimal", { value: "2.50" }, "2.49", [0]],
    ["Decimal", { value: "rubbish" }, "2.49", []],
    ["bytes", new Uint8Array([255]), "7f00", [0]],
    ["bool", true, "false", [0]],
    ["Duration", { seconds: 1n, nanos: 0 }, "0", []],
  ])("%s %s against at most %s", (type, value, max, expected) => {
    const filters = [{ field: "f", table: "flights", column: "c", operator: FilterOperator.AT_LEAST }];
    const [method] = methodsOf({
      messages: { Req: [{ name: "f", type }], Res: [{ name: "n", type: "int64", merge: rule("sum") }] },
      methods: [{ name: "Ask", rule: { filters } }],
    });
    const request = create(method!.input, { f: value } as Record<string, unknown>);
    const pruned = shardPruning(compileMethod(method!), request, [seal(0, [{ column: "c", max }])]);
    expect(pruned.map(({ shard }) => shard)).toEqual(expected);
  });
});
