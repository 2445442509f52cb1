/** Columns mean what rows mean: the same answer from both, and nothing but a bad partial from columns that are broken. */
import { create, type DescMethod, fromBinary, toBinary } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { Fault } from "../../src/fault/fault.ts";
import type { Partial } from "../../src/gateway/merge/merge-execution.ts";
import { startMerge } from "../../src/gateway/merge/start-merge.ts";
import { compileMethod } from "../../src/merge-plan/compile-method.ts";
import type { MethodPlan } from "../../src/merge-plan/method-plan.ts";
import type { Fields } from "../../src/service/serve/part-field.ts";
import { ColumnarPartialSchema, type ColumnValues } from "../../src/wire/generated/skynetes/v1/columns_pb.ts";
import { type FieldSource, methodsOf, rule } from "../merge-plan/annotated-service.ts";
import { columnarBytes } from "../service/columnar-bytes.ts";
import { type Seeded, seeded } from "./drive-merge.ts";
import { damaged, randomMessage, randomScalar } from "./random-message.ts";

const LIMITS = { groupBytesMax: 2 ** 28 };
const TYPES = "double float int32 int64 uint32 uint64 sint32 sint64 fixed32 fixed64 sfixed32 sfixed64".split(" ");
const CASES = Number(process.env.ORACLE_CASES ?? 25);

function randomMethod(random: Seeded): DescMethod {
  const keys = random.shuffle([
    "string",
    "optional string",
    "bytes",
    "int64",
    "uint64",
    "bool",
    "Color",
    "optional sint32",
  ]);
  const key = keys.slice(0, 1 + random.below(2)).map((type, index): FieldSource => ({ name: `k${index}`, type }));
  const fields = Array.from({ length: 1 + random.below(5) }, (_, index): FieldSource => {
    const label = random.pick(["", "optional "]);
    const type = random.pick(TYPES);
    return random.pick([
      { name: `f${index}`, type: `${label}${type}`, merge: rule("sum") },
      { name: `f${index}`, type: `optional ${random.pick([type, "string", "bytes"])}`, merge: rule("max") },
      { name: `f${index}`, type: `${label}${random.pick([type, "string", "bool", "Color"])}`, merge: rule("first") },
    ]);
  });
  const entries = {
    name: "groups",
    type: "repeated Entry",
    merge: rule("group", { key: key.map(({ name }) => name) }),
  };
  return methodsOf({
    enums: { Color: [["COLOR_NONE"], ["COLOR_RED"]] },
    messages: {
      Req: [],
      Entry: [...key, ...fields],
      Row: [...TYPES, "string", "optional string", "bytes", "bool", "optional int64", "Color"].map((type, index) => {
        return { name: `r${index}`, type };
      }),
      Res: [
        { name: "total", type: "int64", merge: rule("sum") },
        entries,
        { name: "rows", type: "repeated Row", merge: rule("sorted", { by: [{ field: "r1" }, { field: "r3" }] }) },
        { name: "tags", type: "repeated string", merge: rule("distinct") },
      ],
    },
  })[0]!;
}

function answerOf(plan: MethodPlan, partials: readonly Pick<Partial, "message" | "format">[]) {
  const merge = startMerge(plan, create(plan.method.input), [...partials.keys()], LIMITS);
  try {
    for (const [shard, request] of merge.begin().entries()) {
      merge.accept({ shard, request, bounds: undefined, ...partials[shard]! });
    }
    return Buffer.concat(merge.finish()).toString("base64");
  } catch (error) {
    if (error instanceof Fault) return error.id;
    throw error;
  }
}

function randomPartial(method: DescMethod, random: Seeded) {
  const value = (field: { scalar?: number | undefined }) => {
    return random.below(20) === 0 || field.scalar === undefined
      ? undefined
      : smaller(randomScalar(field.scalar, random));
  };
  const shape = { lengthMax: 900, filled: random.pick([0.7, 1]), value: value as never };
  return randomMessage(method.output, random, shape);
}

function smaller(value: unknown): unknown {
  if (typeof value === "bigint") return value % 1000n;
  return typeof value === "number" && Math.abs(value) > 2 ** 20 ? 7 : value;
}

describe("columns", () => {
  test("give the answer that rows give, to the byte, mixed with rows as well", () => {
    let columnar = 0;
    for (let seed = 1; seed <= CASES; seed++) {
      const random = seeded(seed * 7);
      const method = randomMethod(random);
      const plan = compileMethod(method);
      const replies = Array.from({ length: random.pick([1, 2, 5]) }, () => randomPartial(method, random));
      const rows = replies.map((reply) => ({ message: toBinary(method.output, reply) }));
      const columns = replies.map((reply, shard) => {
        const message = columnarBytes(plan, reply as unknown as Fields);
        if (message === undefined || random.below(5) === 0) return rows[shard]!;
        columnar += 1;
        return { message, format: "columns" as const };
      });
      expect(answerOf(plan, columns), `seed ${seed}`).toBe(answerOf(plan, rows));
    }
    expect(columnar).toBeGreaterThan(CASES / 4);
  });

  test("that are broken are a bad partial, or mean something, but never fail otherwise", () => {
    let bad = 0;
    for (let seed = 1; seed <= CASES; seed++) {
      const random = seeded(seed * 11);
      const method = randomMethod(random);
      const plan = compileMethod(method);
      const message = columnarBytes(plan, randomPartial(method, random) as unknown as Fields);
      if (message === undefined) continue;
      for (let i = 0; i < 10; i++) {
        const broken = random.below(2) === 0 ? damaged(message, random) : tampered(message, random);
        if (answerOf(plan, [{ message: broken, format: "columns" }]) === "bad-partial") bad += 1;
      }
    }
    expect(bad).toBeGreaterThan(CASES);
  });
});

/** Columns that contradict each other. */
function tampered(bytes: Uint8Array, random: Seeded): Uint8Array {
  const partial = fromBinary(ColumnarPartialSchema, bytes);
  const list = random.pick(partial.lists);
  const column = random.pick(list.columns);
  const parts = ["present", "numbers", "texts", "ends", "codes"] as const satisfies readonly (keyof ColumnValues)[];
  switch (random.below(4)) {
    case 0:
      list.rows = random.pick([0, list.rows - 1, list.rows + 1, 2 ** 31, 2 ** 32 - 1]);
      break;
    case 1:
      list.field = column.field = random.pick([list.field, 99, column.field + 1, 1]);
      break;
    case 2:
      list.columns.push(column);
      break;
    default: {
      const part = random.pick(parts);
      column[part] = random.pick([Buffer.alloc(0), column[part].slice(1), Buffer.alloc(4 * list.rows, 0xff)]);
    }
  }
  return toBinary(ColumnarPartialSchema, partial);
}
