/**
 * The compiled merge against the interpreted one: the same bytes of the answer, or the same fault, whatever the service,
 * whatever way the shards write their partials, and whatever happens to the bytes.
 */
import { create, type DescField, type DescMessage, ScalarType, toBinary } from "@bufbuild/protobuf";
import { BinaryReader } from "@bufbuild/protobuf/wire";
import { describe, expect, test } from "vitest";
import { Fault } from "../../src/fault/fault.ts";
import { compileMerge } from "../../src/gateway/merge/compiled/compile-merge.ts";
import { interpretedMerge } from "../../src/gateway/merge/interpreted-merge.ts";
import type { MergeExecution } from "../../src/gateway/merge/merge-execution.ts";
import { startMerge } from "../../src/gateway/merge/start-merge.ts";
import { compileMethod } from "../../src/merge-plan/compile-method.ts";
import type { MethodPlan } from "../../src/merge-plan/method-plan.ts";
import { methodsOf } from "../merge-plan/annotated-service.ts";
import { type Seeded, seeded } from "./drive-merge.ts";
import { damaged, randomMessage, randomScalar, rewritten } from "./random-message.ts";
import { randomRecipe } from "./random-recipe.ts";

const LIMITS = { groupBytesMax: 2 ** 26 };
const CASES = Number(process.env.ORACLE_CASES ?? 60);

/** Small numbers mostly, or sums leave their types and say nothing else. */
function value(field: DescField, random: Seeded): unknown {
  if (field.name.startsWith("count"))
    return field.scalar === ScalarType.INT64 ? BigInt(random.below(4)) : random.below(4);
  if (field.scalar === undefined || random.below(12) === 0) return undefined;
  switch (field.scalar) {
    case ScalarType.INT64:
    case ScalarType.SINT64:
    case ScalarType.SFIXED64:
      return BigInt(random.pick([0, 1, -1, 70, 100_000, -(2 ** 33), 2 ** 52]));
    case ScalarType.UINT64:
    case ScalarType.FIXED64:
      return BigInt(random.pick([0, 1, 70, 100_000, 2 ** 33, 2 ** 52]));
    case ScalarType.DOUBLE:
      return random.pick([0, -0, 0.1, 0.2, 1e16, -1e16, 3, 1e-9, 7.25]);
    case ScalarType.FLOAT:
      return Math.fround(random.pick([0, -0, 0.1, 1e9, 3]));
    case ScalarType.STRING:
    case ScalarType.BYTES:
    case ScalarType.BOOL:
      return randomScalar(field.scalar, random);
    default:
      return field.scalar === ScalarType.UINT32 || field.scalar === ScalarType.FIXED32
        ? random.pick([0, 1, 300])
        : random.pick([0, 1, -1, 300, -70_000]);
  }
}

function outcome(merge: MergeExecution, partials: readonly Uint8Array[], arrival: readonly number[], sliced: boolean) {
  try {
    const requests = merge.begin();
    const running = arrival.map((shard) => {
      const partial = { shard, request: requests[shard]!, message: partials[shard]!, bounds: undefined };
      if (!sliced) merge.accept(partial);
      return sliced ? merge.acceptSlices(partial) : undefined;
    });
    // Slices of several partials run in turns.
    let open = running.filter((one) => one !== undefined);
    while (open.length > 0) open = open.filter((one) => !one.next().done);
    return Buffer.concat(merge.finish()).toString("base64");
  } catch (error) {
    if (error instanceof Fault) return error.id;
    throw error;
  }
}

interface Case {
  readonly plan: MethodPlan;
  readonly random: Seeded;
  readonly partials: readonly Uint8Array[];
}

function randomCase(seed: number, shards: number): Case {
  const random = seeded(seed);
  const method = methodsOf(randomRecipe(random))[0]!;
  const plan = compileMethod(method);
  const shape = { lengthMax: random.pick([1, 4, 9]), filled: random.pick([0.3, 0.8, 1]), value };
  const partials = Array.from({ length: shards }, () => {
    const bytes = toBinary(method.output, randomMessage(method.output, random, shape));
    return random.below(2) === 0 ? bytes : rewritten(method.output, bytes, random);
  });
  return { plan, random, partials };
}

function run({ plan, random, partials }: Case, kind: typeof startMerge) {
  const arrival = random.shuffle([...partials.keys()]);
  const merge = kind(plan, create(plan.method.input), [...partials.keys()], LIMITS);
  return outcome(merge, partials, arrival, random.below(3) === 0);
}

describe.each([1, 2, 7, 16])("over %i shards", (shards) => {
  test("the answer is that of the interpreter, to the byte", () => {
    let answers = 0;
    for (let seed = 1; seed <= CASES; seed++) {
      const one = randomCase(seed * 31 + shards, shards);
      if (one.plan.merge.kind === "message") expect(compileMerge(one.plan.merge.recipe), "compiled").toBeDefined();
      const expected = run(one, interpretedMerge);
      expect(run(one, startMerge), `seed ${seed}`).toBe(expected);
      expect(run(one, startMerge), `seed ${seed}, other arrival`).toBe(expected);
      if (expected !== "bad-partial" && expected !== "overflow") answers += 1;
    }
    expect(answers).toBeGreaterThan(CASES / 2);
  });

  test("what is broken is a bad partial in both", () => {
    let broken = 0;
    for (let seed = 1; seed <= CASES; seed++) {
      const one = randomCase(seed * 37 + shards, shards);
      const at = one.random.below(shards);
      const partials = one.partials.map((bytes, shard) => (shard === at ? damaged(bytes, one.random) : bytes));
      const expected = run({ ...one, partials }, interpretedMerge);
      const actual = run({ ...one, partials }, startMerge);
      if (expected === "bad-partial") broken += 1;
      // The one difference: the library lets a field reach beyond the message that it is in.
      if (actual === "bad-partial" && overreaches(one.plan.method.output, partials[at]!)) continue;
      expect(actual, `seed ${seed}`).toBe(expected);
    }
    expect(broken).toBeGreaterThan(CASES / 10);
  });
});

/** Whether somewhere a field ends behind its message. */
function overreaches(desc: DescMessage, bytes: Uint8Array): boolean {
  const reader = new BinaryReader(bytes);
  const known = new Map(desc.fields.map((field) => [field.number, field]));
  try {
    while (reader.pos < reader.len) {
      const [number, type] = reader.tag();
      const field = known.get(number);
      if (field === undefined) reader.skip(type, number);
      else if (field.message !== undefined) {
        if (overreaches(field.message, reader.bytes())) return true;
      } else readValue(reader, field, type);
    }
    return reader.pos > reader.len;
  } catch {
    // Of a nested message it is the bytes behind it that the library went on with.
    return true;
  }
}

function readValue(reader: BinaryReader, field: DescField, type: number): void {
  const isText = field.scalar === ScalarType.STRING || field.scalar === ScalarType.BYTES;
  if (isText || (field.fieldKind === "list" && type === 2)) reader.bytes();
  else if (field.scalar === ScalarType.DOUBLE || String(ScalarType[field.scalar!]).endsWith("FIXED64")) reader.double();
  else if (field.scalar === ScalarType.FLOAT || String(ScalarType[field.scalar!]).endsWith("FIXED32")) reader.float();
  else reader.int64();
}
