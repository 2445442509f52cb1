/** What shards send is held against the memory of all queries before they may send it. */
import { expect, test } from "vitest";
import { Fault } from "../../../src/fault/fault.ts";
import { MemoryPool } from "../../../src/gateway/query/memory-pool.ts";
import { KnownStamps } from "../../../src/gateway/scatter/converse/known-stamps.ts";
import { UnaryCall } from "../../../src/gateway/scatter/converse/unary-call.ts";
import { CREDIT_BYTES, FRAGMENT_BYTES_MAX } from "../../../src/wire/converse/limits.ts";
import { encodeStamp } from "../../../src/wire/converse/packed-stamp.ts";
import { callOf } from "./answering-service.ts";

const NEVER = new AbortController().signal;
const OK = { code: 0, message: "", retryAfterMs: 0 } as never;
const REST = { id: 1, messageEnd: false, bounds: undefined, format: 0, timing: undefined, partialBytes: 0 } as const;

/** A call whose service sends as much as it may, and no more. */
class Flooding {
  readonly length: number;
  readonly under: UnaryCall;
  readonly outcome: Promise<number | Fault>;
  /** How much it says that it will send. */
  readonly #told: number;
  credit = CREDIT_BYTES;
  sent = 0;
  isOver = false;
  message: Uint8Array | undefined;

  constructor(pool: MemoryPool, length: number, told = 0, partialBytesMax = 2 ** 30) {
    this.length = length;
    this.#told = told;
    const share = pool.open();
    const call = { ...callOf("a:1"), memory: { hold: share.take, release: share.give } };
    const terms = { call, deadline: 1e9, signal: NEVER, partialBytesMax };
    this.under = new UnaryCall(terms, { replied() {} });
    this.under.home = {
      kind: "stream",
      pod: "",
      stamps: new KnownStamps(),
      grant: (_call, bytes) => {
        this.credit += bytes;
      },
      ended: () => {
        this.isOver = true;
      },
    };
    this.outcome = this.under.reply.then(
      ({ message, held = 0 }) => {
        this.message = message;
        share.give(held);
        return message.length;
      },
      (fault: Fault) => fault,
    );
    const data = Buffer.alloc(0);
    this.under.take({ ...REST, data, stamp: encodeStamp(call.expected), status: undefined });
  }

  /** One fragment; false: it must wait. */
  send(): boolean {
    const size = Math.min(FRAGMENT_BYTES_MAX, this.credit, this.length - this.sent);
    if (this.isOver || size === 0) return false;
    const partialBytes = this.sent === 0 ? this.#told : 0;
    this.credit -= size;
    this.sent += size;
    const status = this.sent === this.length ? OK : undefined;
    this.under.take({ ...REST, data: Buffer.alloc(size, this.sent >> 14), stamp: undefined, status, partialBytes });
    return true;
  }
}

test("a flood of large partials: nobody may send what the pool has not given, the others come whole", async () => {
  const bytesMax = 16 * 2 ** 20;
  const pool = new MemoryPool(bytesMax, 100);
  const calls = Array.from({ length: 12 }, () => new Flooding(pool, 6 * 2 ** 20));
  let most = 0;
  for (let isMoving = true; isMoving; ) {
    isMoving = false;
    for (const call of calls) if (call.send()) isMoving = true;
    const open = calls.filter((call) => !call.isOver);
    // Beyond what every call may send, what may come and what has come is held.
    const unasked = open.length * CREDIT_BYTES;
    most = Math.max(most, open.reduce((sum, call) => sum + call.sent + call.credit, 0) - unasked);
    expect(pool.held).toBeLessThanOrEqual(bytesMax);
  }
  const outcomes = await Promise.all(calls.map((call) => call.outcome));
  expect(most).toBeLessThanOrEqual(bytesMax);
  const refused = outcomes.filter((outcome) => outcome instanceof Fault);
  expect(new Set(refused.map(({ id }) => id))).toEqual(new Set(["overloaded"]));
  expect(outcomes.filter((outcome) => outcome === 6 * 2 ** 20).length).toBe(calls.length - refused.length);
  expect([refused.length > 0, refused.length < calls.length]).toEqual([true, true]);
  expect(pool.held).toBe(0);
});

test("a partial within what every call may send asks for nothing", async () => {
  const pool = new MemoryPool(0, 100);
  const call = new Flooding(pool, CREDIT_BYTES / 2);
  while (call.send());
  expect(await call.outcome).toBe(CREDIT_BYTES / 2);
});

const LARGE = 4 * 2 ** 20 + 5;

/** Bytes of memory that are copied while the work runs. */
function copiedBy(work: () => void): number {
  const typed = Object.getPrototypeOf(Uint8Array.prototype) as Uint8Array;
  const { set } = typed;
  let bytes = 0;
  typed.set = function (this: Uint8Array, source: ArrayLike<number>, at?: number) {
    bytes += source.length;
    set.call(this, source, at);
  };
  try {
    work();
  } finally {
    typed.set = set;
  }
  return bytes;
}

test("a partial that was told of is copied once, fragment by fragment, into memory of its own", async () => {
  const pool = new MemoryPool(LARGE, 100);
  const call = new Flooding(pool, LARGE, LARGE);
  let most = 0;
  let copied = 0;
  for (let isMoving = true; isMoving; ) {
    const bytes = copiedBy(() => {
      isMoving = call.send();
    });
    most = Math.max(most, bytes);
    copied += bytes;
    if (!call.isOver) expect(pool.held).toBe(LARGE);
  }
  expect(await call.outcome).toBe(LARGE);
  expect([most, copied]).toEqual([FRAGMENT_BYTES_MAX, LARGE]);
  expect(call.message?.buffer.byteLength).toBe(LARGE);
  expect(call.message?.every((byte, at) => byte === (Math.min(LARGE, at - (at % 16384) + 16384) >> 14) % 256)).toBe(
    true,
  );
  expect(pool.held).toBe(0);
});

test.each([
  ["larger than memory", 2 ** 20, 2 ** 30, "overloaded"],
  ["larger than a partial may be", 2 ** 30, 2 ** 20, "answer-too-large"],
])("a partial told to be %s is refused at its first fragment", async (_, poolBytes, partialBytesMax, id) => {
  const pool = new MemoryPool(poolBytes, 100);
  const call = new Flooding(pool, LARGE, LARGE, partialBytesMax);
  call.send();
  expect([call.isOver, call.sent]).toEqual([true, FRAGMENT_BYTES_MAX]);
  expect(await call.outcome).toMatchObject({ id });
  expect(pool.held).toBe(0);
});

test.each([
  ["more", LARGE - 1],
  ["less", LARGE + 1],
])("a service that sends %s than it told sends no partial", async (_, told) => {
  const pool = new MemoryPool(2 ** 30, 100);
  const call = new Flooding(pool, LARGE, told);
  while (call.send());
  expect(await call.outcome).toMatchObject({ id: "bad-partial" });
  expect(pool.held).toBe(0);
});
