/** The life of a pod's stream on a clock that the test moves. */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { type ServiceError, status } from "@grpc/grpc-js";
import { beforeEach, describe, expect, test } from "vitest";
import type { Fault } from "../../../src/fault/fault.ts";
import type { FramePipe, PipeListener } from "../../../src/gateway/scatter/converse/frame-pipe.ts";
import { StreamCounts } from "../../../src/gateway/scatter/converse/stream-counts.ts";
import { StreamSlot } from "../../../src/gateway/scatter/converse/stream-slot.ts";
import { TurnEnd } from "../../../src/gateway/scatter/converse/turn-end.ts";
import { UnaryCall } from "../../../src/gateway/scatter/converse/unary-call.ts";
import { CallFrameWriter } from "../../../src/wire/converse/call-frame.ts";
import {
  type ConverseRequest,
  ConverseRequestSchema,
  ConverseResponseSchema,
} from "../../../src/wire/generated/skynetes/v1/shard_pb.ts";
import { ManualClock } from "../../wire/converse/manual-clock.ts";
import type { Response } from "../packed-calls.ts";
import { callOf, VERSION } from "./answering-service.ts";

/** A pipe whose other end is the test. */
class Peer implements FramePipe {
  readonly frames: ConverseRequest[] = [];
  readonly anew: boolean;
  end = () => {
    this.state = "ended";
  };
  cancel = () => {
    this.state = "cancelled";
  };
  state = "open";
  isFull = false;
  readonly #listener: PipeListener;

  constructor(listener: PipeListener, anew: boolean) {
    this.#listener = listener;
    this.anew = anew;
  }

  write(frame: Buffer): boolean {
    this.frames.push(fromBinary(ConverseRequestSchema, frame));
    return !this.isFull;
  }

  send(response: Response): void {
    const bytes = toBinary(ConverseResponseSchema, create(ConverseResponseSchema, response));
    this.#listener.frame(Buffer.from(bytes));
  }

  hello(): void {
    this.send({ hello: { pod: "p", instance: "i" } });
  }

  answer(id: bigint): void {
    const stamp = { shard: 3, snapshot: "s1", stateDigest: "digest", serviceVersion: VERSION };
    this.send({ fragments: [{ id, stamp, status: { code: 0 } }] });
  }

  room(): void {
    this.isFull = false;
    this.#listener.room();
  }

  gone(code: status): void {
    this.#listener.gone({ code, details: "gone" } as ServiceError);
  }

  get heartbeats(): bigint[] {
    return this.frames.flatMap(({ heartbeat }) => (heartbeat === undefined ? [] : [heartbeat.sequence]));
  }

  get calls(): bigint[] {
    return this.frames.flatMap(({ calls }) => calls.map(({ id }) => id));
  }
}

const NEVER = new AbortController().signal;
let clock: ManualClock;
let peers: Peer[];
let slot: StreamSlot;
let counts: StreamCounts;
let unit: number;
/** By how much timers are behind the time. */
let lagMs: number;

beforeEach(() => {
  clock = new ManualClock();
  peers = [];
  unit = 0.5;
  counts = new StreamCounts();
  lagMs = 0;
  slot = new StreamSlot({
    clock: {
      now: () => clock.now(),
      monotonic: () => clock.monotonic() + lagMs,
      after: (ms, work) => clock.after(ms, work),
    },
    randomness: { unit: () => unit, id: () => "" },
    turnEnd: new TurnEnd(),
    writer: new CallFrameWriter(),
    counts,
    kind: "stream",
    open: (anew) => (listener) => {
      const peer = new Peer(listener, anew);
      peers.push(peer);
      return peer;
    },
    unspoken: () => {},
    isUnwanted: () => false,
  });
});

const turn = () => new Promise((resolve) => setImmediate(resolve));
function send(timeoutMs = 60_000): UnaryCall & { outcome: string | undefined } {
  const deadline = clock.monotonic() + timeoutMs;
  const terms = { call: callOf("a:1", { timeoutMs }), deadline, signal: NEVER, partialBytesMax: 1_000 };
  const call = Object.assign(new UnaryCall(terms, { replied: () => {} }), { outcome: undefined as string | undefined });
  call.reply.then(
    () => {
      call.outcome = "answered";
    },
    (fault: Fault) => {
      call.outcome = `${fault.id} ${fault.detail.reason}`;
    },
  );
  slot.send(call);
  return call;
}
/** A stream with its hello. */
async function opened(): Promise<Peer> {
  const call = send();
  const peer = peers.at(-1) as Peer;
  peer.hello();
  await turn();
  peer.answer(peer.calls.at(-1) as bigint);
  await turn();
  expect(call.outcome).toBe("answered");
  return peer;
}

describe("signs of life", () => {
  test("a heartbeat every 2 s in which nothing else was sent, counting up from 1", async () => {
    const peer = await opened();
    for (let second = 0; second < 7; second++) {
      clock.advance(1_000);
      peer.send({ heartbeat: { sequence: BigInt(second + 1) } });
      await turn();
    }
    expect(peer.heartbeats).toEqual([1n, 2n, 3n]);
    send();
    await turn();
    clock.advance(1_500);
    await turn();
    expect(peer.heartbeats).toEqual([1n, 2n, 3n]);
  });

  test("a stream that is silent for 6 s is dead: its calls are moved at once, and the next goes over a new connection", async () => {
    const peer = await opened();
    const calls = [send(), send()];
    await turn();
    clock.advance(5_999);
    await turn();
    expect(calls.map(({ outcome }) => outcome)).toEqual([undefined, undefined]);
    clock.advance(1);
    await turn();
    expect(calls.map(({ outcome }) => outcome)).toEqual(Array(2).fill("shard-unavailable STREAM_SILENT"));
    expect(peer.state).toBe("cancelled");
    expect([...counts.lost]).toEqual([["silent", 1]]);
    send();
    expect(peers.map(({ anew }) => anew)).toEqual([false, true]);
    // And no backing off: it had answered before.
    peers[1]!.hello();
    await turn();
    expect(peers[1]!.calls).toEqual([1n]);
  });

  test("any frame is a sign of life", async () => {
    const peer = await opened();
    const call = send(100_000);
    await turn();
    for (let i = 0; i < 5; i++) {
      clock.advance(5_000);
      peer.send({ fragments: [{ id: 1n, data: Buffer.from("of a call that has ended") }] });
    }
    await turn();
    expect(call.outcome).toBeUndefined();
  });

  test("a stream that says nothing from the beginning is dead as well", async () => {
    const call = send();
    clock.advance(6_000);
    await turn();
    expect(call.outcome).toBe("shard-unavailable STREAM_SILENT");
    expect(counts.open).toBe(0);
  });

  test("what this process slept through is not the peer's silence", async () => {
    const peer = await opened();
    clock.stall(60_000);
    await turn();
    peer.send({ heartbeat: { sequence: 1n } });
    expect([peer.state, counts.lost.size]).toEqual(["open", 0]);
  });
});

describe("deadlines", () => {
  test("each call ends with its own, and one timer serves them all", async () => {
    const peer = await opened();
    const timers = clock.timers;
    const calls = [500, 100, 300, 1_500].map((ms) => send(ms));
    await turn();
    expect(clock.timers).toBeLessThanOrEqual(timers + 1);
    const late = () => calls.map(({ outcome }) => outcome === "deadline-exceeded DEADLINE_EXCEEDED");
    for (const [ms, expected] of [
      [99, [false, false, false, false]],
      [1, [false, true, false, false]],
      [200, [false, true, true, false]],
      [200, [true, true, true, false]],
    ] as const) {
      clock.advance(ms);
      await turn();
      expect(late()).toEqual(expected);
    }
    expect(peer.frames.flatMap(({ cancelled }) => cancelled)).toEqual([3n, 4n, 2n]);
  });

  test("a call is told what is left of its time when it is sent", async () => {
    const peer = await opened();
    peer.isFull = true;
    send();
    await turn();
    send(1_000);
    clock.advance(400);
    peer.room();
    await turn();
    expect(peer.frames.at(-1)!.calls.map(({ remainingUs }) => remainingUs)).toEqual([600_000n]);
  });

  test("a call whose time is up before it can be sent is not sent, though its timer is late", async () => {
    const peer = await opened();
    peer.isFull = true;
    send();
    await turn();
    const late = send(100);
    lagMs = 100;
    peer.room();
    await turn();
    expect(late.outcome).toBe("deadline-exceeded DEADLINE_EXCEEDED");
    expect(peer.calls).toEqual([1n, 2n]);
  });

  test("while the stream is full nothing is sent; then what waited shares a frame", async () => {
    const peer = await opened();
    peer.isFull = true;
    send();
    await turn();
    const before = peer.frames.length;
    for (let i = 0; i < 5; i++) {
      send();
      await turn();
    }
    expect(peer.frames.length).toBe(before);
    peer.room();
    await turn();
    expect(peer.frames.slice(before).map(({ calls }) => calls.length)).toEqual([5]);
  });
});

describe("age", () => {
  test.each([
    [0, 480_000],
    [0.5, 600_000],
    [1, 720_000],
  ])("with a throw of %d a stream is replaced after %i ms", async (thrown, age) => {
    unit = thrown;
    const peer = await opened();
    const alive = async (ms: number) => {
      for (let left = ms; left > 0; left -= 1_000) {
        clock.advance(Math.min(1_000, left));
        peer.send({ heartbeat: { sequence: 1n } });
        if (left % 30_000 < 1_000) {
          send();
          await turn();
          peer.answer(peer.calls.at(-1) as bigint);
        }
      }
    };
    await alive(age - 1);
    expect(peers.length).toBe(1);
    const underWay = send();
    await turn();
    clock.advance(1);
    await turn();
    expect(peers.length).toBe(2);
    expect(peer.state).toBe("open");
    const next = send();
    peers[1]!.hello();
    await turn();
    expect(peers[1]!.calls).toEqual([1n]);
    peer.answer(peer.calls.at(-1) as bigint);
    await turn();
    expect([underWay.outcome, next.outcome, peer.state]).toEqual(["answered", undefined, "ended"]);
    peer.gone(status.OK);
    expect([counts.open, counts.lost.size]).toEqual([1, 0]);
  });

  test("one that nobody uses any more ends and is not replaced", async () => {
    const peer = await opened();
    for (let s = 0; s < 600; s++) {
      clock.advance(1_000);
      peer.send({ heartbeat: { sequence: 1n } });
    }
    await turn();
    expect([peers.length, peer.state]).toEqual([1, "ended"]);
    // A service that does not end its side is not waited for, and leaves no timer.
    clock.advance(6_000);
    expect([peer.state, counts.open, clock.timers, slot.isEmpty]).toEqual(["cancelled", 0, 0, true]);
  });
});

describe("draining", () => {
  test("a service that drains every stream at once is not asked again and again", async () => {
    const call = send();
    peers[0]!.send({ hello: { pod: "p", instance: "i" }, drain: {} });
    await turn();
    expect(peers.length).toBe(1);
    // What waited for this stream is sent on it.
    expect(peers[0]!.calls).toEqual([1n]);
    peers[0]!.answer(1n);
    await turn();
    expect([call.outcome, peers[0]!.state]).toEqual(["answered", "ended"]);
    send();
    expect(peers.length).toBe(2);
  });

  test("calls that the service does not answer within its grace are moved when it ends the stream", async () => {
    const peer = await opened();
    const call = send();
    await turn();
    peer.send({ drain: { grace: { seconds: 1n } } });
    peer.gone(status.UNAVAILABLE);
    await turn();
    expect(call.outcome).toBe("shard-unavailable UNAVAILABLE");
  });
});

describe("reconnecting", () => {
  test("after a stream that could not be opened calls fail at once, for longer each time", async () => {
    for (const wait of [50, 100, 200, 200]) {
      const first = send();
      const { length } = peers;
      peers.at(-1)!.gone(status.UNAVAILABLE);
      await turn();
      expect(first.outcome).toBe("shard-unavailable UNAVAILABLE");
      clock.advance(wait - 1);
      const second = send();
      await turn();
      expect([second.outcome, peers.length]).toEqual(["shard-unavailable UNAVAILABLE", length]);
      clock.advance(1);
    }
    // A hello makes it all forgotten.
    await opened();
    peers.at(-1)!.gone(status.UNAVAILABLE);
    send();
    peers.at(-1)!.gone(status.UNAVAILABLE);
    clock.advance(50);
    const { length } = peers;
    send();
    expect(peers.length).toBe(length + 1);
  });

  test("a stream that was open and broke is replaced with the next call", async () => {
    const peer = await opened();
    peer.gone(status.UNAVAILABLE);
    send();
    expect(peers.length).toBe(2);
  });
});

test("losing everything leaves no timer and no stream", async () => {
  await opened();
  const call = send();
  slot.lose("closed", "the gateway closes");
  await turn();
  expect(call.outcome).toBe("shard-unavailable STREAM_CLOSED");
  expect([clock.timers, counts.open, slot.isEmpty]).toEqual([0, 0, true]);
});
