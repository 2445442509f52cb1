import { expect, test } from "vitest";
import type { Fault } from "../../src/fault/fault.ts";
import { BindingTable } from "../../src/service/bind/binding-table.ts";
import { ActiveCalls } from "../../src/service/serve/active-calls.ts";
import { CallQueue } from "../../src/service/serve/converse/call-queue.ts";
import { ConverseStream } from "../../src/service/serve/converse/converse-stream.ts";
import { UnsentBytes } from "../../src/service/serve/converse/unsent-bytes.ts";
import { AnswerFrameReader } from "../../src/wire/converse/answer-frame.ts";
import { CallFrameWriter } from "../../src/wire/converse/call-frame.ts";
import { ManualClock } from "../wire/converse/manual-clock.ts";

/** A stream of a service without methods, over a sink that a test fills. */
function stream() {
  const clock = new ManualClock();
  const turns: (() => void)[] = [];
  const atEndOfTurn = (work: () => void) => void turns.push(work);
  const reader = new AnswerFrameReader();
  const seen = { statuses: 0, reads: [] as boolean[], ends: [] as (Fault | undefined)[], takes: true };
  const host = {
    own: { serviceVersion: "delay-v1-00000001" },
    table: new BindingTable<undefined>(),
    calls: new ActiveCalls(),
    clock,
    authorize: [],
    report: () => {},
    accessLog: undefined,
  };
  const unsent = new UnsentBytes(1_000_000);
  const shared = {
    ...{ host, methods: new Map(), pod: "pod", instance: "i", unsent },
    ...{ queue: new CallQueue(clock, atEndOfTurn), atEndOfTurn },
  };
  const peer = { address: "", header: () => [] };
  const under = new ConverseStream<undefined>(shared, peer, {
    write(frame) {
      seen.statuses += reader.read(frame).fragments.filter(({ status }) => status !== undefined).length;
      return seen.takes;
    },
    read: (isWanted) => seen.reads.push(isWanted),
    end: (fault) => seen.ends.push(fault),
    answered: () => {},
  });
  const endTurn = () => {
    for (const work of turns.splice(0)) work();
  };
  return { under, seen, clock, endTurn };
}

const frames = new CallFrameWriter();

/** Frames of so many calls of a method that is not there. */
function callFrames(calls: number): Buffer[] {
  const out: Buffer[] = [];
  const call = {
    shard: 0,
    snapshot: "s1",
    method: "/a.B/C",
    remainingUs: 1,
    request: Buffer.alloc(0),
    accept: 0 as const,
  };
  for (let id = 1; id <= calls; id++) {
    if (frames.call({ ...call, id, traceparent: "" })) continue;
    out.push(frames.take());
    id--;
  }
  return [...out, frames.take()];
}

test("of a gateway that sends and never reads nothing more is read, until it has taken its refusals", () => {
  const { under, seen, endTurn } = stream();
  seen.takes = false;
  const [frame, ...more] = callFrames(5000);
  under.receive(frame as Buffer);
  endTurn();
  expect(seen.reads).toEqual([false]);
  // What was on its way is answered all the same.
  for (const late of more) under.receive(late);
  endTurn();
  seen.takes = true;
  under.drained();
  endTurn();
  expect(seen.statuses).toBe(5000);
  expect(seen.reads).toEqual([false, true]);
  expect(seen.ends).toEqual([]);
});

test("a stream that has ended neither reads, nor writes, nor keeps time", () => {
  const { under, seen, endTurn, clock } = stream();
  under.receive(Buffer.from([0xff]));
  expect(seen.ends).toMatchObject([{ id: "malformed-request" }]);
  for (const frame of callFrames(10)) under.receive(frame);
  under.drain(1000);
  under.halfClosed();
  under.end(undefined);
  endTurn();
  clock.advance(60_000);
  endTurn();
  expect([seen.statuses, seen.ends.length, clock.timers]).toEqual([0, 1, 0]);
});
