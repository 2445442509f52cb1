import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { Fault } from "../../../src/fault/fault.ts";
import { startMerge } from "../../../src/gateway/merge/start-merge.ts";
import { compileMethod } from "../../../src/merge-plan/compile-method.ts";
import {
  ColumnarPartialSchema,
  ColumnListSchema,
  ColumnValuesSchema,
} from "../../../src/wire/generated/skynetes/v1/columns_pb.ts";
import { methodsOf, rule } from "../../merge-plan/annotated-service.ts";

const METHOD = methodsOf({
  messages: {
    Req: [],
    Entry: [
      { name: "k", type: "string" },
      { name: "n", type: "int64", merge: rule("sum") },
      { name: "least", type: "optional double", merge: rule("min") },
    ],
    Res: [
      { name: "groups", type: "repeated Entry", merge: rule("group", { key: ["k"] }) },
      { name: "total", type: "int64", merge: rule("sum") },
      { name: "tags", type: "repeated string", merge: rule("distinct") },
    ],
  },
})[0]!;
const PLAN = compileMethod(METHOD);

function bytes(array: Uint32Array | BigInt64Array | Float64Array): Uint8Array {
  return new Uint8Array(array.buffer);
}

const ends = (...values: number[]) => bytes(Uint32Array.from(values));
const longs = (...values: bigint[]) => bytes(BigInt64Array.from(values));
const reals = (...values: number[]) => bytes(Float64Array.from(values));

type ColumnsInit = NonNullable<MessageInitShape<typeof ColumnarPartialSchema>["lists"]>[number];

/** Two groups, "a" and "é", as they should be; changed by the test. */
function list(change: object = {}, columns: Record<string, object> = {}): ColumnsInit {
  return create(ColumnListSchema, {
    field: 1,
    rows: 2,
    columns: [
      { field: 1, texts: Buffer.from("aé"), ends: ends(1, 3), ...columns.k },
      { field: 2, numbers: longs(5n, 2n ** 60n), ...columns.n },
      { field: 3, numbers: reals(1.5, 0), present: Buffer.of(0b01), ...columns.least },
    ],
    ...change,
  });
}

function merged(lists: readonly ColumnsInit[], message: Uint8Array = new Uint8Array()) {
  const merge = startMerge(PLAN, create(METHOD.input), [0], { groupBytesMax: 2 ** 20 });
  const [request] = merge.begin();
  const partial = toBinary(ColumnarPartialSchema, create(ColumnarPartialSchema, { message, lists: [...lists] }));
  merge.accept({ shard: 0, request: request!, message: partial, format: "columns", bounds: undefined });
  return fromBinary(METHOD.output, Buffer.concat(merge.finish())) as unknown as { groups: object[]; total: bigint };
}

describe("columns", () => {
  test("are the list that they stand for, beside the rest of the message", () => {
    const rest = toBinary(METHOD.output, create(METHOD.output, { total: 7n } as never));
    const { groups, total } = merged([list()], rest);
    expect(total).toBe(7n);
    expect(groups).toMatchObject([
      { k: "a", n: 5n, least: 1.5 },
      { k: "é", n: 2n ** 60n },
    ]);
    expect(Object.hasOwn(groups[1]!, "least")).toBe(false);
  });

  test("may name texts by the entries of a dictionary, and longs by half their bytes", () => {
    const codes = list(
      { rows: 3 },
      {
        k: { codes: ends(1, 0, 1) },
        n: { numbers: ends(1, 2, 3) },
        least: { numbers: reals(0, 0, 0), present: Buffer.of(0) },
      },
    );
    expect(merged([codes]).groups).toMatchObject([
      { k: "a", n: 2n },
      { k: "é", n: 4n },
    ]);
  });

  test("that are not there are fields that are not set", () => {
    const keysOnly = list({ columns: [{ field: 1, texts: Buffer.from("ab"), ends: ends(1, 2) }] });
    expect(merged([keysOnly]).groups).toMatchObject([
      { k: "a", n: 0n },
      { k: "b", n: 0n },
    ]);
  });

  test.each<[string, ColumnsInit | ColumnsInit[]]>([
    ["rows without a column", list({ columns: [] })],
    ["more rows than columns have", list({ rows: 3 })],
    ["fewer rows than columns have", list({ rows: 1 })],
    ["rows that nobody sent", list({ rows: 2 ** 32 - 1 })],
    ["a text that ends behind the texts", list({}, { k: { ends: ends(1, 4) } })],
    ["a text that ends before it begins", list({}, { k: { ends: ends(3, 1) } })],
    ["ends that are no numbers", list({}, { k: { ends: Buffer.alloc(7) } })],
    ["a cut in a character", list({}, { k: { ends: ends(2, 3) } })],
    ["a string that is not UTF-8", list({}, { k: { texts: Buffer.of(0x61, 0xff, 0xff) } })],
    ["an entry that the dictionary does not have", list({}, { k: { codes: ends(0, 2) } })],
    ["codes for other rows", list({}, { k: { codes: ends(0) } })],
    ["numbers of no width", list({}, { n: { numbers: Buffer.alloc(6) } })],
    ["numbers of another width", list({}, { least: { numbers: Buffer.alloc(8) } })],
    ["presence of other rows", list({}, { least: { present: Buffer.alloc(2) } })],
    ["presence of a field that has none", list({}, { n: { present: Buffer.of(3) } })],
    [
      "a column twice",
      list({ columns: [...list().columns!, create(ColumnValuesSchema, { field: 2, numbers: longs(1n, 1n) })] }),
    ],
    ["a list twice", [list(), list()]],
    ["a list that the response does not have", list({ field: 9 })],
    ["a list that is no list", list({ field: 2 })],
    ["a list of no messages", list({ field: 3 })],
  ])("%s is a bad partial", (_, lists) => {
    const attempt = () => merged(Array.isArray(lists) ? lists : [lists]);
    expect(attempt).toThrow(Fault);
    expect(attempt).toThrow(expect.objectContaining({ id: "bad-partial" }) as unknown as Error);
  });

  test("are refused before room is made for rows that nobody sent", () => {
    expect(() => merged([list({ rows: 2 ** 32 - 1 })])).toThrow(/bytes .*for 4294967295 rows/);
    const bare = list({ rows: 2 ** 32 - 1, columns: [create(ColumnValuesSchema, { field: 2, numbers: longs(1n) })] });
    expect(() => merged([bare])).toThrow(/8 bytes for 4294967295 rows/);
  });

  test("of one list come once, even if there is nothing in them", () => {
    expect(() => merged([list({ rows: 0, columns: [] }), list()])).toThrow(/twice/);
  });

  test("of a list that has rows besides are a bad partial", () => {
    const rest = toBinary(METHOD.output, create(METHOD.output, { groups: [{ k: "a" }] } as never));
    expect(() => merged([list()], rest)).toThrow(/rows besides/);
  });
});

describe("a partial that cannot be decoded", () => {
  const good = toBinary(METHOD.output, create(METHOD.output, { total: 7n, groups: [{ k: "a", n: 1n }] } as never));
  // Whole groups, and then a field that is cut off.
  const broken = Buffer.concat([good, Buffer.of(0x10, 0x80)]);

  test("leaves no trace: its shard can be given up, and the answer is that of the others", () => {
    const merge = startMerge(PLAN, create(METHOD.input), [0, 1], { groupBytesMax: 2 ** 20 });
    const [first, second] = merge.begin();
    merge.accept({ shard: 0, request: first!, message: good, bounds: undefined });
    expect(() => merge.accept({ shard: 1, request: second!, message: broken, bounds: undefined })).toThrow(
      /partial of shard 1/,
    );
    merge.exclude(1);
    expect(Buffer.concat(merge.finish())).toEqual(Buffer.from(good));
  });
});

describe("what a merge may hold", () => {
  test("a set beyond the ceiling is an error that says so", () => {
    const merge = startMerge(PLAN, create(METHOD.input), [0], { groupBytesMax: 10_000 });
    const [request] = merge.begin();
    const tags = Array.from({ length: 1000 }, (_, index) => `tag ${index}`);
    const message = toBinary(METHOD.output, create(METHOD.output, { tags } as never));
    expect(() => merge.accept({ shard: 0, request: request!, message, bounds: undefined })).toThrow(
      expect.objectContaining({ id: "answer-too-large" }) as unknown as Error,
    );
  });
});
