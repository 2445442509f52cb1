import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { AnswerFrameReader } from "../../../src/wire/converse/answer-frame.ts";
import { FairWriter } from "../../../src/wire/converse/fair-writer.ts";
import type { Fragment } from "../../../src/wire/converse/fragment.ts";
import { CREDIT_BYTES, FRAGMENT_BYTES_MAX, FRAME_BYTES_MAX } from "../../../src/wire/converse/limits.ts";
import { encodeStamp } from "../../../src/wire/converse/packed-stamp.ts";

const STAMP = encodeStamp({
  shard: 3,
  snapshot: "s1",
  stateDigest: "d".repeat(32),
  serviceVersion: "delay-v1-00000001",
});
const OK = { code: 0, message: "", fault: "", retryAfterMs: 0 };

/** A writer over a stream that a test fills and drains, and what came out of it. */
function stream() {
  const reader = new AnswerFrameReader();
  const turns: (() => void)[] = [];
  const frames: number[] = [];
  const fragments: Fragment[] = [];
  const over: number[] = [];
  const state = { takes: Number.POSITIVE_INFINITY, unsent: 0 };
  const writer = new FairWriter({
    atEndOfTurn: (work) => turns.push(work),
    unsent: (bytes) => {
      state.unsent += bytes;
    },
    over: ({ id }) => over.push(id),
    write: (frame) => {
      expect(state.takes, "nothing is written while the stream is full").toBeGreaterThan(0);
      expect(frame.length).toBeLessThanOrEqual(FRAME_BYTES_MAX);
      frames.push(frame.length);
      fragments.push(...reader.read(frame).fragments);
      return --state.takes > 0;
    },
  });
  return {
    writer,
    frames,
    fragments,
    over,
    state,
    /** The turn ends, and the stream has room for so many frames more. */
    pass(takes: number) {
      const wasFull = state.takes <= 0;
      if (takes > 0) state.takes = takes;
      if (wasFull && takes > 0) writer.drained();
      for (const work of turns.splice(0)) work();
    },
  };
}

function patterned(id: number, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let i = 0; i < length; i++) bytes[i] = (i * 31 + id * 7) & 0xff;
  return bytes;
}

const sizes = fc.oneof(
  fc.nat(200),
  fc.nat(3 * FRAGMENT_BYTES_MAX),
  fc.constantFrom(0, FRAGMENT_BYTES_MAX, FRAGMENT_BYTES_MAX + 1, FRAME_BYTES_MAX, CREDIT_BYTES, 3 * CREDIT_BYTES),
);
const scripts = fc.record({
  calls: fc.array(
    fc.record({ isStreaming: fc.boolean(), pieces: fc.array(sizes, { maxLength: 6 }), startsAt: fc.nat(5) }),
    {
      minLength: 1,
      maxLength: 8,
    },
  ),
  turns: fc.array(fc.nat(3), { maxLength: 20 }),
  grant: fc.integer({ min: 1, max: CREDIT_BYTES }),
});

test("every call arrives whole and in order, its stamp first and its status last, within credit and frames", () => {
  fc.assert(
    fc.property(scripts, ({ calls, turns, grant }) => {
      const { writer, fragments, state, pass, over } = stream();
      const opened = calls.map((script, id) => ({ ...script, out: writer.open(id + 1), granted: CREDIT_BYTES }));
      let seen = 0;
      const sent = calls.map(() => 0);
      const checkCredit = () => {
        for (; seen < fragments.length; seen++) {
          const { id, data } = fragments[seen] as Fragment;
          sent[id - 1] = (sent[id - 1] as number) + data.length;
          expect(data.length).toBeLessThanOrEqual(FRAGMENT_BYTES_MAX);
          expect(sent[id - 1], "nothing beyond credit").toBeLessThanOrEqual(opened[id - 1]?.granted as number);
        }
      };
      const feed = (turn: number) => {
        for (const { out, pieces, isStreaming, startsAt } of opened) {
          if (startsAt === turn) out.stamp(STAMP);
          const at = turn - startsAt;
          const bytes = at >= 0 && pieces[at] !== undefined ? patterned(out.id + at, pieces[at]) : undefined;
          if (bytes !== undefined) out.data(bytes, isStreaming);
          if (at === pieces.length) out.end({ status: OK });
        }
      };
      const grantAll = (bytes: number) => {
        for (const call of opened) {
          call.granted += bytes;
          call.out.grant(bytes);
        }
      };
      for (let turn = 0; turn < 12; turn++) {
        feed(turn);
        pass(turns[turn] ?? 1);
        checkCredit();
        grantAll(turn % 3 === 0 ? grant : 0);
        checkCredit();
      }
      // In the end there is room and credit for everything.
      for (let rest = 0; rest < 40; rest++) {
        grantAll(CREDIT_BYTES);
        pass(1000);
        checkCredit();
      }
      for (const { out, pieces, isStreaming } of opened) {
        const own = fragments.filter(({ id }) => id === out.id);
        const whole = Buffer.concat(pieces.map((length, at) => patterned(out.id + at, length)));
        expect(Buffer.concat(own.map(({ data }) => data)).equals(whole)).toBe(true);
        expect(own.map(({ stamp }) => stamp !== undefined)).toEqual(own.map((_, i) => i === 0));
        expect(own.map(({ status }) => status !== undefined)).toEqual(own.map((_, i) => i === own.length - 1));
        if (isStreaming) expect(messageLengths(own)).toEqual(pieces);
        else expect(own.some(({ messageEnd }) => messageEnd)).toBe(false);
        expect([out.isOver, out.unsentBytes]).toEqual([true, 0]);
      }
      expect(state.unsent).toBe(0);
      expect(over.toSorted()).toEqual(opened.map(({ out }) => out.id));
    }),
  );
});

function messageLengths(fragments: readonly Fragment[]): number[] {
  const lengths: number[] = [];
  let length = 0;
  for (const { data, messageEnd } of fragments) {
    length += data.length;
    if (!messageEnd) continue;
    lengths.push(length);
    length = 0;
  }
  return lengths;
}

describe("turns", () => {
  /** Heads of fragments, and what a fragment takes more than its call had left. */
  const SLACK = 1024;

  test("no call gets ahead of its share by more than one turn, wherever frames are cut", () => {
    const large = fc.array(fc.integer({ min: 200_000, max: 250_000 }), { minLength: 2, maxLength: 6 });
    fc.assert(
      fc.property(large, fc.array(fc.nat(2), { maxLength: 30 }), (lengths, turns) => {
        const { writer, fragments, pass, state } = stream();
        state.takes = 1;
        const sent = new Map<number, number>();
        lengths.forEach((length, i) => {
          sent.set(i + 1, 0);
          writer.open(i + 1).data(Buffer.alloc(length), false);
        });
        for (const turn of turns) pass(turn);
        for (const { id, data } of fragments) {
          sent.set(id, (sent.get(id) as number) + data.length);
          const all = [...sent.values()];
          if (all.some((bytes, i) => bytes === lengths[i])) break;
          expect(Math.max(...all) - Math.min(...all)).toBeLessThanOrEqual(FRAGMENT_BYTES_MAX + SLACK);
        }
      }),
    );
  });

  test("a small partial waits for one turn of each large one, not for their ends", () => {
    const { writer, fragments, pass, state } = stream();
    state.takes = 1;
    for (const id of [1, 2, 3]) writer.open(id).data(Buffer.alloc(CREDIT_BYTES), false);
    pass(1);
    const before = fragments.length;
    const small = writer.open(4);
    small.data(Buffer.alloc(300), false);
    small.end({ status: OK });
    for (let i = 0; i < 4; i++) pass(1);
    const at = fragments.findIndex(({ id }) => id === 4);
    const between = fragments.slice(before, at).reduce((sum, { data }) => sum + data.length, 0);
    expect(between).toBeLessThanOrEqual(3 * (FRAGMENT_BYTES_MAX + SLACK));
  });

  test("turns that were not used are not saved up", () => {
    const { writer, fragments, pass, state } = stream();
    const modest = writer.open(1);
    for (let i = 0; i < 50; i++) {
      modest.data(Buffer.alloc(10), true);
      pass(1000);
    }
    const before = fragments.length;
    state.takes = 1;
    modest.data(Buffer.alloc(200_000), true);
    writer.open(2).data(Buffer.alloc(200_000), false);
    pass(1);
    expect(fragments.slice(before).map(({ id }) => id)).toEqual([1, 2, 1, 2]);
  });

  test("a call without credit holds up no other", () => {
    const { writer, fragments, pass } = stream();
    const stuck = writer.open(1);
    stuck.data(Buffer.alloc(2 * CREDIT_BYTES), false);
    pass(1000);
    const other = writer.open(2);
    other.data(Buffer.alloc(2 * CREDIT_BYTES), false);
    other.grant(CREDIT_BYTES);
    other.end({ status: OK });
    pass(1000);
    expect(sum(fragments, 1)).toBe(CREDIT_BYTES);
    expect(sum(fragments, 2)).toBe(2 * CREDIT_BYTES);
    expect(other.isOver).toBe(true);
  });

  const sum = (fragments: readonly Fragment[], id: number) =>
    fragments.reduce((bytes, fragment) => bytes + (fragment.id === id ? fragment.data.length : 0), 0);
});

test("whoever produces is told when what waits is little enough", () => {
  const { writer, pass } = stream();
  const call = writer.open(1);
  call.data(Buffer.alloc(CREDIT_BYTES + 20_000), true);
  const told: string[] = [];
  call.whenBelow(10_000, () => told.push("below"));
  pass(1000);
  // All that its credit allows is sent; the rest waits for more.
  expect(told).toEqual([]);
  call.grant(20_000);
  pass(1000);
  expect(told).toEqual(["below"]);
  call.whenBelow(10_000, () => told.push("at once"));
  expect(told).toEqual(["below", "at once"]);
});

describe("calls that end early", () => {
  test("of one that is dropped nothing more is sent, and its memory is free at once", () => {
    const { writer, fragments, pass, state } = stream();
    state.takes = 1;
    const call = writer.open(1);
    call.data(Buffer.alloc(CREDIT_BYTES), false);
    call.end({ status: OK });
    pass(1);
    const before = fragments.length;
    call.drop();
    expect(state.unsent).toBe(0);
    call.data(Buffer.alloc(10), false);
    call.fail(OK);
    call.grant(1000);
    pass(1000);
    pass(1000);
    expect(fragments.length).toBe(before);
    expect(state.unsent).toBe(0);
  });

  test("one that fails half way sends its status and nothing of what waited", () => {
    const { writer, fragments, pass, state } = stream();
    const call = writer.open(1);
    call.stamp(STAMP);
    call.data(Buffer.alloc(2 * CREDIT_BYTES), false);
    pass(1000);
    call.fail({ ...OK, code: 4, message: "too late" });
    call.end({ status: OK });
    pass(1000);
    const last = fragments.at(-1);
    expect(last).toMatchObject({ status: { code: 4, message: "too late" }, data: { length: 0 } });
    expect(fragments.filter(({ status }) => status !== undefined)).toHaveLength(1);
    expect(state.unsent).toBe(0);
  });
});

test("what the stream says of itself passes what waits", () => {
  const reader = new AnswerFrameReader();
  const frames: Buffer[] = [];
  const turns: (() => void)[] = [];
  const writer = new FairWriter({
    atEndOfTurn: (work) => turns.push(work),
    unsent: () => {},
    over: () => {},
    write: (frame) => frames.push(frame) > 1000,
  });
  const call = writer.open(1);
  call.data(Buffer.alloc(CREDIT_BYTES), false);
  turns.shift()?.();
  writer.hello("pod", "instance", [STAMP]);
  writer.drain(10_000);
  writer.heartbeat(7);
  writer.drained();
  expect(reader.read(frames[1] as Buffer)).toMatchObject({
    hello: { pod: "pod", instance: "instance", bound: [{ snapshot: "s1" }] },
    drain: { seconds: 10, nanos: 0 },
    heartbeat: 7,
  });
});

test.each([
  [FRAGMENT_BYTES_MAX, 0],
  [FRAGMENT_BYTES_MAX + 1, FRAGMENT_BYTES_MAX + 1],
])("a partial of %i bytes in pieces tells of %i before it comes, once", (bytes, told) => {
  const { writer, fragments, pass } = stream();
  const out = writer.open(1);
  out.stamp(STAMP);
  out.announce(bytes);
  out.data(patterned(1, bytes - 100), false);
  out.data(patterned(2, 100), false);
  out.end({ status: OK });
  pass(10);
  expect(fragments.map(({ partialBytes }) => partialBytes)).toEqual(fragments.map((_, i) => (i === 0 ? told : 0)));
  expect(fragments.length).toBeGreaterThan(1);
});

test("a partial that fails before it was sent tells of nothing", () => {
  const { writer, fragments, pass } = stream();
  const out = writer.open(1);
  out.stamp(STAMP);
  out.announce(1_000_000);
  out.data(patterned(1, 1_000_000), false);
  out.fail({ ...OK, code: 13 });
  pass(10);
  expect(fragments.map(({ partialBytes, data }) => [partialBytes, data.length])).toEqual([[0, 0]]);
});
