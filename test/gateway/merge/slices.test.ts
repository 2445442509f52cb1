/** What a merge does between two pauses, counted in bytes copied and cleared, not in time. */
import { create, toBinary } from "@bufbuild/protobuf";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Slices } from "../../../src/accumulator/sliced-sort.ts";
import { startMerge } from "../../../src/gateway/merge/start-merge.ts";
import { compileMethod } from "../../../src/merge-plan/compile-method.ts";
import { methodsOf, rule } from "../../merge-plan/annotated-service.ts";
import { columnarBytes } from "../../service/columnar-bytes.ts";

const METHOD = methodsOf({
  messages: {
    Req: [],
    Entry: [
      { name: "k", type: "string" },
      { name: "n", type: "int64", merge: rule("sum") },
      { name: "name", type: "string", merge: rule("first") },
      { name: "all", type: "bool", merge: rule("all") },
    ],
    Row: [
      { name: "at", type: "int64" },
      { name: "note", type: "string" },
    ],
    Res: [
      { name: "groups", type: "repeated Entry", merge: rule("group", { key: ["k"] }) },
      { name: "rows", type: "repeated Row", merge: rule("sorted", { by: [{ field: "at" }, { field: "note" }] }) },
    ],
  },
})[0]!;
const PLAN = compileMethod(METHOD);

/** A memory that is written once at this size takes some hundred microseconds. */
const BYTES_PER_SLICE_MAX = 640 * 1024;
const typed = Object.getPrototypeOf(Uint8Array.prototype) as Uint8Array;
const { set, fill } = typed;
let bytes = 0;

beforeEach(() => {
  typed.set = function (this: Uint8Array, source: ArrayLike<number>, at?: number) {
    bytes += source.length * this.BYTES_PER_ELEMENT;
    set.call(this, source, at);
  };
  typed.fill = function (this: Uint8Array, value: number, from = 0, to = this.length) {
    bytes += (Math.min(to, this.length) - from) * this.BYTES_PER_ELEMENT;
    return fill.call(this, value, from, to);
  } as typeof fill;
});
afterEach(() => Object.assign(typed, { set, fill }));

const SHARDS = [0, 1, 2];
const GROUPS = 120_000;

/** Half of a shard's groups are those of the shard before it, so that tables grow with every shard. */
function partialOf(shard: number, format: "rows" | "columns") {
  const at = (n: number) => (shard * GROUPS) / 2 + n;
  const reply = {
    groups: Array.from({ length: GROUPS }, (_, n) => ({
      k: `key ${(at(n) * 7919) % (GROUPS * 4)}`,
      n: BigInt(n),
      name: n % 3 === 0 ? `name ${shard}` : "",
      all: n % 5 > 0,
    })),
    rows: Array.from({ length: GROUPS / 2 }, (_, n) => ({ at: BigInt(n % 1000), note: `${shard} ${n}` })),
  };
  if (format === "columns") return { message: columnarBytes(PLAN, reply)!, format } as const;
  return { message: toBinary(METHOD.output, create(METHOD.output, reply as never)) };
}

describe.each(["rows", "columns"] as const)("three partials as %s, their slices in turns", (format) => {
  test("no slice copies much, and the answer is that of a merge without pauses", () => {
    const partials = SHARDS.map((shard) => partialOf(shard, format));
    const begin = () => startMerge(PLAN, create(METHOD.input), SHARDS, { groupBytesMax: 2 ** 30 });
    const whole = begin();
    for (const [shard, request] of whole.begin().entries()) {
      whole.accept({ shard, request, bounds: undefined, ...partials[shard]! });
    }
    const expected = Buffer.concat(whole.finish());

    let most = 0;
    let slices = 0;
    const next = <T>(work: Slices<T>): IteratorResult<void, T> => {
      bytes = 0;
      slices += 1;
      const turn = work.next();
      most = Math.max(most, bytes);
      return turn;
    };
    const sliced = begin();
    let open = sliced
      .begin()
      .map((request, shard) => sliced.acceptSlices({ shard, request, bounds: undefined, ...partials[shard]! }));
    while (open.length > 0) open = open.filter((work) => !next(work).done);
    const finishing = sliced.finishSlices();
    for (;;) {
      const turn = next(finishing);
      if (!turn.done) continue;
      expect(Buffer.compare(Buffer.concat(turn.value), expected)).toBe(0);
      break;
    }
    expect(slices).toBeGreaterThan(100);
    expect(most).toBeLessThan(BYTES_PER_SLICE_MAX);
  });
});

const LONG = methodsOf({
  messages: {
    Req: [],
    Entry: [
      { name: "k", type: "string" },
      { name: "filling", type: "bytes", merge: rule("first") },
    ],
    Row: [{ name: "note", type: "string" }],
    Res: [
      { name: "groups", type: "repeated Entry", merge: rule("group", { key: ["k"] }) },
      { name: "rows", type: "repeated Row", merge: rule("sorted", { by: [{ field: "note" }] }) },
    ],
  },
})[0]!;

test("values of 4 KiB are copied some at a time, once each, into memory that is made for all of them", () => {
  const rows = 4000;
  const filling = new Uint8Array(4096).fill(7);
  const reply = {
    groups: Array.from({ length: rows }, (_, n) => ({ k: `key ${n}`, filling })),
    rows: Array.from({ length: rows }, (_, n) => ({ note: `${n}`.padStart(4096) })),
  };
  const merge = startMerge(compileMethod(LONG), create(LONG.input), [0], { groupBytesMax: 2 ** 30 });
  const [request] = merge.begin();
  const message = toBinary(LONG.output, create(LONG.output, reply as never));
  let most = 0;
  let sum = 0;
  for (const work = merge.acceptSlices({ shard: 0, request: request!, bounds: undefined, message }); ; ) {
    bytes = 0;
    const turn = work.next();
    most = Math.max(most, bytes);
    sum += bytes;
    if (turn.done) break;
  }
  expect(most).toBeLessThan(BYTES_PER_SLICE_MAX);
  expect(sum).toBeLessThan(1.2 * 2 * rows * 4096);
});
