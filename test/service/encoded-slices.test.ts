/** What encoding a reply does between two pauses, counted in bytes copied, not in time. */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { compileMethod } from "../../src/merge-plan/compile-method.ts";
import { encodeReply } from "../../src/service/serve/encode-reply.ts";
import { ColumnarPartialSchema } from "../../src/wire/generated/skynetes/v1/columns_pb.ts";
import { PartialFormat } from "../../src/wire/generated/skynetes/v1/shard_pb.ts";
import { methodsOf, rule } from "../merge-plan/annotated-service.ts";

const METHOD = methodsOf({
  messages: {
    Req: [],
    Entry: [
      { name: "k", type: "string" },
      { name: "n", type: "int64", merge: rule("sum") },
      { name: "filling", type: "bytes", merge: rule("first") },
      { name: "note", type: "optional string", merge: rule("first") },
    ],
    Res: [{ name: "groups", type: "repeated Entry", merge: rule("group", { key: ["k"] }) }],
  },
})[0]!;
const PLAN = compileMethod(METHOD);

/** A value and its message are copied some times by the library; 256 KiB a slice, and what one element takes beyond. */
const BYTES_PER_SLICE_MAX = 1.5 * 2 ** 20;
const typed = Object.getPrototypeOf(Uint8Array.prototype) as Uint8Array;
const { set } = typed;
const { copy } = Buffer.prototype;
const { concat } = Buffer;
let bytes = 0;

beforeEach(() => {
  typed.set = function (this: Uint8Array, source: ArrayLike<number>, at?: number) {
    bytes += source.length * this.BYTES_PER_ELEMENT;
    set.call(this, source, at);
  };
  Buffer.prototype.copy = function (this: Buffer, ...where: Parameters<typeof copy>) {
    const copied = copy.apply(this, where);
    bytes += copied;
    return copied;
  };
  Buffer.concat = ((list: readonly Uint8Array[], length?: number) => {
    const joined = concat(list, length);
    bytes += joined.length;
    return joined;
  }) as typeof concat;
});
afterEach(() => {
  typed.set = set;
  Buffer.prototype.copy = copy;
  Buffer.concat = concat;
});

function replyOf(groups: number, fillingBytes: number) {
  return {
    groups: Array.from({ length: groups }, (_, n) => ({
      k: `key ${n}`,
      n: BigInt(n) << (n % 3 === 0 ? 0n : 20n),
      filling: new Uint8Array(fillingBytes).fill(n),
      ...(n % 4 === 0 ? { note: `note ${n}` } : {}),
    })),
  };
}

function encodedInSlices(reply: object, accept: PartialFormat, isWhole: boolean) {
  const work = encodeReply(PLAN, reply as never, { accept, isWhole });
  let most = 0;
  for (let slices = 1; ; slices++) {
    bytes = 0;
    const turn = work.next();
    most = Math.max(most, bytes);
    if (turn.done) return { ...turn.value, most, slices };
  }
}

const SHAPES = [
  ["many small elements", replyOf(60_000, 10)],
  ["elements of 4 KiB", replyOf(6000, 4096)],
  ["elements of 90 KiB", replyOf(300, 90_000)],
] as const;

describe.each(SHAPES)("%s", (_, reply) => {
  test.each([
    ["rows", PartialFormat.UNSPECIFIED],
    ["columns", PartialFormat.COLUMNS],
  ])("as %s: no slice copies much, and the bytes are the library's", (name, accept) => {
    for (const isWhole of [false, true]) {
      const { pieces, format, most, slices } = encodedInSlices(reply, accept, isWhole);
      expect(format).toBe(accept);
      expect(most).toBeLessThan(BYTES_PER_SLICE_MAX);
      if (isWhole) expect([pieces.length, slices > 20]).toEqual([1, true]);
      const whole = concat(pieces);
      const expected =
        name === "rows"
          ? toBinary(METHOD.output, create(METHOD.output, reply as never))
          : toBinary(ColumnarPartialSchema, fromBinary(ColumnarPartialSchema, whole));
      expect(Buffer.compare(whole, expected)).toBe(0);
    }
  });
});

test("values of 64 KiB go out as the handler gave them", () => {
  const reply = replyOf(300, 90_000);
  const { pieces } = encodedInSlices(reply, PartialFormat.COLUMNS, false);
  for (const { filling } of reply.groups) expect(pieces).toContain(filling);
});

test("a small reply is one piece", () => {
  for (const accept of [PartialFormat.UNSPECIFIED, PartialFormat.COLUMNS]) {
    expect(encodedInSlices(replyOf(300, 20), accept, false).pieces.length).toBe(1);
  }
});
