/** Promise 9 in columns: a value outside its field's type is refused as the message that holds it would be, never changed. */
import { create, type DescMethod, type MessageInitShape } from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { unsliced } from "../../src/accumulator/sliced-sort.ts";
import { startMerge } from "../../src/gateway/merge/start-merge.ts";
import { compileMethod } from "../../src/merge-plan/compile-method.ts";
import type { MethodPlan } from "../../src/merge-plan/method-plan.ts";
import { encodeReply } from "../../src/service/serve/encode-reply.ts";
import type { Fields } from "../../src/service/serve/part-field.ts";
import { PartialFormat } from "../../src/wire/generated/skynetes/v1/shard_pb.ts";
import { methodsOf, rule } from "../merge-plan/annotated-service.ts";

/** Enough of them for columns. */
const ROWS = 256;
const SCALARS =
  "double float int32 int64 uint32 uint64 sint32 sint64 fixed32 fixed64 sfixed32 sfixed64 bool string bytes".split(" ");
const TYPES = [...SCALARS, "Color"].flatMap((type) => [type, `optional ${type}`]);

function methodOf(type: string): DescMethod {
  return methodsOf({
    enums: { Color: [["COLOR_NONE"], ["COLOR_RED"]] },
    messages: {
      Req: [],
      Row: [
        { name: "at", type: "int32" },
        { name: "value", type },
      ],
      Res: [{ name: "rows", type: "repeated Row", merge: rule("sorted", { by: [{ field: "at" }] }) }],
    },
  })[0]!;
}

/** Undefined: it is refused. */
function encoded(plan: MethodPlan, reply: Fields, accept: PartialFormat) {
  try {
    return unsliced(encodeReply(plan, reply, { accept, isWhole: true }));
  } catch {
    return undefined;
  }
}

/** What a gateway makes of the reply; `refused`: the service does not send it. */
async function outcome(method: DescMethod, reply: Fields, accept: PartialFormat) {
  const plan = compileMethod(method);
  const partial = encoded(plan, reply, accept);
  if (partial === undefined) return { answer: "refused", format: undefined };
  const merge = startMerge(plan, create(method.input), [0], { groupBytesMax: 2 ** 28 });
  const [request] = merge.begin();
  const format = partial.format === PartialFormat.COLUMNS ? "columns" : "message";
  merge.accept({ shard: 0, request: request!, message: partial.pieces[0]!, bounds: undefined, format });
  return { answer: Buffer.concat(merge.finish()).toString("base64"), format };
}

/** One row has the value; as plain objects or as messages. */
async function bothWays(method: DescMethod, value: unknown, areMessages: boolean) {
  const row = method.output.fields[0]!.message!;
  const rows = Array.from({ length: ROWS }, (_, at) => {
    const init = (at === 7 ? { at, value } : { at }) as MessageInitShape<typeof row>;
    return areMessages ? create(row, init) : init;
  });
  const message = await outcome(method, { rows }, PartialFormat.UNSPECIFIED);
  return { message, columns: await outcome(method, { rows }, PartialFormat.COLUMNS) };
}

const edges = [7, 8, 31, 32, 53, 63, 64, 128].flatMap((bits) => [2n ** BigInt(bits), -(2n ** BigInt(bits))]);
const near = fc.tuple(fc.constantFrom(0n, ...edges), fc.bigInt(-2n, 2n)).map(([edge, by]) => edge + by);
const values = fc.oneof(
  near,
  near.map(Number),
  fc.double(),
  fc.float(),
  fc.constantFrom(Number.NaN, 1.5, -0.5, -0, Number.POSITIVE_INFINITY, 3.4028235677973366e38, 1e39, -1e300),
  fc.constantFrom<unknown>(true, false, "", "5", "-1", "x", "\ud800", Uint8Array.of(1, 255), undefined, null),
);

describe.each(TYPES)("%s", (type) => {
  const method = methodOf(type);

  test("is refused in columns where its message is refused, and says the same otherwise", async () => {
    await fc.assert(
      fc.asyncProperty(values, fc.boolean(), async (value, areMessages) => {
        const { message, columns } = await bothWays(method, value, areMessages);
        expect(columns.answer).toBe(message.answer);
      }),
      { numRuns: 60 },
    );
  });
});

test.each([
  ["int64", 2n ** 63n],
  ["sint64", -(2n ** 63n) - 1n],
  ["uint64", -1n],
  ["fixed64", 2n ** 64n],
  ["int32", 2 ** 31],
  ["uint32", -1],
  ["int32", 1.5],
  ["sfixed32", Number.NaN],
  ["float", 1e39],
  ["Color", 2 ** 31],
])("%s: %s is refused", async (type, value) => {
  expect((await bothWays(methodOf(type), value, false)).columns.answer).toBe("refused");
});

test.each([
  ["int64", -(2n ** 63n)],
  ["int64", 2n ** 63n - 1n],
  ["uint64", 2n ** 64n - 1n],
  ["fixed64", 2n ** 32n],
  ["sint64", -1n],
  ["uint32", 2 ** 32 - 1],
  ["int32", -(2 ** 31)],
  ["float", 0.1],
  ["float", Number.NEGATIVE_INFINITY],
  ["double", Number.NaN],
  ["bool", true],
  ["string", "ü"],
])("%s: %s goes by columns", async (type, value) => {
  const { message, columns } = await bothWays(methodOf(type), value, false);
  expect(columns).toEqual({ ...message, format: "columns" });
});
