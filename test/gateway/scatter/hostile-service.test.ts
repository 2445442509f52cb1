/** Services that break the rules of proto/skynetes/v1/shard.proto, over real sockets. */
import { Server, ServerCredentials, type ServerUnaryCall, status } from "@grpc/grpc-js";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Fault } from "../../../src/fault/fault.ts";
import { ConverseTransport } from "../../../src/gateway/scatter/converse/converse-transport.ts";
import { GrpcShardTransport } from "../../../src/gateway/scatter/grpc-shard-transport.ts";
import type { ShardCall, ShardReply } from "../../../src/gateway/scatter/shard-transport.ts";
import { type Clock, systemRandomness as randomness, systemClock } from "../../../src/process/clock.ts";
import { statusFromFault } from "../../../src/wire/fault-status.ts";
import { type PeerStream, serveStreams } from "../packed-calls.ts";
import { callOf, ROWS, UNARY, until, VERSION } from "./answering-service.ts";

const PARTIAL_MAX = 1024 * 1024;
const HELLO = { hello: { pod: "pod-7", instance: "i" } };
const STAMP = { shard: 3, snapshot: "s1", stateDigest: "digest", serviceVersion: VERSION };
const OK = { code: 0 };

/** By how much more than real time has passed. */
let skewMs = 0;
/** When set, time stands still there. */
let stoppedAt: number | undefined;
const clock: Clock = { ...systemClock, monotonic: () => stoppedAt ?? systemClock.monotonic() + skewMs };

let server: Server;
let address: string;
let streams: PeerStream[];
let script: (stream: PeerStream) => void;
let unaryCalls: string[];
let onUnary: (reply: (error: unknown, value?: Buffer) => void) => void;
let transport: ConverseTransport;

beforeEach(async () => {
  skewMs = 0;
  stoppedAt = undefined;
  server = new Server();
  script = (stream) => stream.send(HELLO);
  streams = serveStreams(server, (stream) => script(stream));
  unaryCalls = [];
  onUnary = (reply) => reply(null, Buffer.from("by unary"));
  const asIs = (bytes: Buffer) => bytes;
  const unary = (call: ServerUnaryCall<Buffer, Buffer>, reply: (error: unknown, value?: Buffer) => void) => {
    unaryCalls.push(call.request.toString());
    onUnary(reply);
  };
  server.register(UNARY, unary as never, asIs, asIs, "unary");
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  address = `127.0.0.1:${port}`;
  const oracle = new GrpcShardTransport(clock, PARTIAL_MAX);
  transport = new ConverseTransport({ clock, randomness, unary: oracle, partialBytesMax: PARTIAL_MAX });
});
afterEach(() => {
  transport.close();
  server.forceShutdown();
});

const NEVER = new AbortController().signal;
const ask = (over: Partial<ShardCall> = {}, signal = NEVER) => transport.unary(callOf(address, over), signal);
const faultOf = async (work: Promise<unknown>): Promise<Fault> => {
  const error = await work.then(
    () => undefined,
    (e: unknown) => e,
  );
  expect(error).toBeInstanceOf(Fault);
  return error as Fault;
};
const text = (reply: ShardReply) => Buffer.from(reply.message).toString();
const requestOf = (bytes: Uint8Array) => Buffer.from(bytes).toString();
/** Answers every call with its request, but those that `odd` takes care of. */
const answering = (odd: (stream: PeerStream, id: bigint, request: string) => boolean) => (stream: PeerStream) => {
  stream.send(HELLO);
  stream.onFrame = (frame) => {
    for (const { id, request } of frame.calls) {
      if (odd(stream, id, requestOf(request))) continue;
      stream.send({ fragments: [{ id, stamp: STAMP, data: request, status: OK }] });
    }
  };
};
const healthy = answering(() => false);

describe("what is wrong with the stream ends the stream, and the next call finds a new one", () => {
  const wrongs: [string, string, (stream: PeerStream) => void][] = [
    ["bytes that are no frame", "STREAM_UNREADABLE", (s) => s.sendRaw(Buffer.from([0xff, 0xff, 0xff]))],
    ["a fragment that is cut off", "STREAM_UNREADABLE", (s) => s.sendRaw(Buffer.from([0x12, 0x05, 0x08]))],
    ["a frame of more than 64 KiB", "STREAM_ENDED", (s) => s.sendRaw(Buffer.alloc(65_537))],
    ["a second hello", "STREAM_DISORDER", (s) => s.send(HELLO)],
    ["an answer to call 0", "STREAM_DISORDER", (s) => s.send({ fragments: [{ id: 0n, status: OK }] })],
    ["an answer to a call never sent", "STREAM_DISORDER", (s) => s.send({ fragments: [{ id: 3n, status: OK }] })],
    ["an answer to call 2^63", "STREAM_DISORDER", (s) => s.send({ fragments: [{ id: 1n << 63n, status: OK }] })],
    ["an end without a status for its calls", "STREAM_ENDED", (s) => s.end()],
    ["an end that blames the gateway", "STREAM_ENDED", (s) => s.fail({ code: status.INVALID_ARGUMENT, details: "x" })],
    ["an end because of its process", "UNAVAILABLE", (s) => s.fail({ code: status.UNAVAILABLE, details: "x" })],
  ];
  test.each(wrongs)("%s", async (_name, reason, misbehave) => {
    script = (stream) => {
      stream.send(HELLO);
      stream.onFrame = () => {
        if (stream.calls.length === 2) misbehave(stream);
      };
    };
    const faults = await Promise.all([faultOf(ask()), faultOf(ask({ shard: 4 }))]);
    expect(faults.map(({ id, detail }) => [id, detail])).toEqual([
      ["shard-unavailable", { shard: 3, reason }],
      ["shard-unavailable", { shard: 4, reason }],
    ]);
    script = healthy;
    expect(text(await ask())).toBe("hello");
    expect(streams.length).toBe(2);
    expect([...transport.counts.lost.values()]).toEqual([1]);
    expect(transport.counts.open).toBe(1);
  });

  test("something before the hello", async () => {
    script = (stream) => stream.send({ heartbeat: { sequence: 1n } });
    expect((await faultOf(ask())).detail.reason).toBe("STREAM_DISORDER");
    expect(streams[0]?.calls).toEqual([]);
  });
});

describe("what is wrong with a call ends that call alone", () => {
  const wrongs: [string, (stream: PeerStream, id: bigint) => void, Partial<Fault> | { stamp: unknown }][] = [
    [
      "data before a stamp",
      (s, id) =>
        s.send({
          fragments: [
            { id, data: Buffer.from("x") },
            { id, stamp: STAMP, status: OK },
          ],
        }),
      { stamp: undefined },
    ],
    ["an end without a stamp", (s, id) => s.send({ fragments: [{ id, status: OK }] }), { stamp: undefined }],
    [
      "two stamps",
      (s, id) =>
        s.send({
          fragments: [
            { id, stamp: STAMP },
            { id, stamp: STAMP, data: Buffer.from("x"), status: OK },
          ],
        }),
      { stamp: undefined },
    ],
    [
      "bytes for a stamp that are none",
      (s, id) => s.sendRaw(Buffer.from([0x12, 8, 0x08, Number(id), 0x12, 1, 120, 0x1a, 1, 0xff])),
      { stamp: undefined },
    ],
    [
      "another stamp",
      (s, id) => s.send({ fragments: [{ id, stamp: { ...STAMP, shard: 9 }, data: Buffer.from("x"), status: OK }] }),
      { stamp: { ...STAMP, shard: 9 } },
    ],
    [
      "a fragment of more than 16 KiB",
      (s, id) => s.send({ fragments: [{ id, stamp: STAMP, data: Buffer.alloc(16_385) }] }),
      { id: "shard-failed" },
    ],
    [
      "a refusal",
      (s, id) => s.send({ fragments: [{ id, status: { code: 5, message: "no" } }] }),
      { id: "shard-failed" },
    ],
    [
      "a refusal after data",
      (s, id) => s.send({ fragments: [{ id, stamp: STAMP, data: Buffer.from("x"), status: { code: 13 } }] }),
      { id: "shard-failed" },
    ],
  ];
  test.each(wrongs)("%s", async (_name, misbehave, expected) => {
    script = answering((stream, id, request) => {
      if (request !== "odd") return false;
      misbehave(stream, id);
      return true;
    });
    const [odd, beside] = await Promise.allSettled([ask({ request: Buffer.from("odd") }), ask()]);
    expect(odd.status === "fulfilled" ? odd.value : (odd.reason as Fault)).toMatchObject(expected);
    // Nothing of what is not vouched for is handed on.
    if (odd.status === "fulfilled") expect(odd.value.message.length).toBe(0);
    expect(beside).toMatchObject({ value: { stamp: STAMP } });
    expect(text(await ask())).toBe("hello");
    expect(streams.length).toBe(1);
  });

  test("the rest of a partial with another stamp is not waited for, and the service is told so", async () => {
    script = answering((stream, id, request) => {
      if (request !== "odd") return false;
      stream.send({ fragments: [{ id, stamp: { ...STAMP, stateDigest: "other" } }] });
      return true;
    });
    expect((await ask({ request: Buffer.from("odd") })).stamp?.stateDigest).toBe("other");
    await until(() => streams[0]!.frames.some(({ cancelled }) => cancelled.includes(1n)), "the call is cancelled");
  });

  test("more data than was granted", async () => {
    const piece = Buffer.alloc(16_384);
    script = answering((stream, id, request) => {
      if (request !== "odd") return false;
      // One after the other at once, whatever is granted meanwhile.
      stream.send({ fragments: [{ id, stamp: STAMP }] });
      for (let i = 0; i < 48; i++) stream.sendRaw(fragmentFrame(Number(id), piece));
      return true;
    });
    // A stream of messages that nobody reads is granted nothing.
    const rows = await transport.stream(callOf(address, { path: ROWS, request: Buffer.from("odd") }), NEVER);
    const read = async () => {
      for await (const _row of rows.messages);
    };
    await until(() => streams[0]!.frames.some(({ cancelled }) => cancelled.length > 0), "the call is cancelled");
    const fault = await faultOf(read());
    expect([fault.id, fault.detail]).toEqual(["shard-failed", { shard: 3, reason: "RESOURCE_EXHAUSTED" }]);
  });

  test("more data than a partial may have", async () => {
    script = answering((stream, id, request) => {
      if (request !== "odd") return false;
      const piece = Buffer.alloc(16_384);
      stream.send({ fragments: [{ id, stamp: STAMP }] });
      const more = () => stream.send({ fragments: [{ id, data: piece }] });
      for (let i = 0; i < 16; i++) more();
      const before = stream.onFrame;
      // As much as it is granted, and no more.
      stream.onFrame = (frame) => {
        for (const credit of frame.credits) for (let i = 0; i < Math.floor(credit.bytes / 16_384); i++) more();
        before(frame);
      };
      return true;
    });
    const [odd, beside] = await Promise.allSettled([ask({ request: Buffer.from("odd") }), ask()]);
    expect(odd).toMatchObject({ reason: { id: "answer-too-large" } });
    expect(beside).toMatchObject({ status: "fulfilled" });
  });

  test("a flood of tiny fragments is put together, or ends, and its neighbours are answered", async () => {
    script = answering((stream, id, request) => {
      if (request !== "odd") return false;
      stream.send({ fragments: [{ id, stamp: STAMP }] });
      for (let i = 0; i < 50; i++) {
        stream.send({ fragments: Array.from({ length: 1_000 }, () => ({ id, data: Buffer.from("x") })) });
      }
      stream.send({ fragments: Array.from({ length: 1_000 }, () => ({ id })) });
      stream.send({ fragments: [{ id, status: OK }] });
      return true;
    });
    const [odd, beside] = await Promise.all([ask({ request: Buffer.from("odd") }), ask()]);
    expect(text(odd)).toBe("x".repeat(50_000));
    expect(text(beside)).toBe("hello");
  });

  test("what comes for a call that has ended is ignored", async () => {
    script = answering((stream, id, request) => {
      if (request !== "odd") return false;
      stream.send({ fragments: [{ id, stamp: STAMP, data: Buffer.from("once"), status: OK }] });
      stream.send({
        fragments: [
          { id, data: Buffer.from("more") },
          { id, stamp: STAMP, status: { code: 13 } },
        ],
      });
      return true;
    });
    expect(text(await ask({ request: Buffer.from("odd") }))).toBe("once");
    expect(text(await ask())).toBe("hello");
    expect(streams.length).toBe(1);
  });

  test("a message of a stream that ends within a message", async () => {
    script = answering((stream, id) => {
      stream.send({ fragments: [{ id, stamp: STAMP, data: Buffer.from("half"), status: OK }] });
      return true;
    });
    const rows = await transport.stream(callOf(address, { path: ROWS }), NEVER);
    const seen: string[] = [];
    const fault = await faultOf(
      (async () => {
        for await (const row of rows.messages) seen.push(Buffer.from(row).toString());
      })(),
    );
    expect([fault.id, seen]).toEqual(["bad-partial", []]);
  });
});

describe("opening", () => {
  test("calls wait for the hello, and are told what is left of their time", async () => {
    let greet = () => {};
    script = (stream) => {
      greet = () => healthy(stream);
    };
    const reply = ask({ timeoutMs: 10_000 });
    await until(() => streams.length === 1, "the stream is there");
    const started = clock.monotonic();
    await until(() => clock.monotonic() - started > 30, "time passes");
    expect(streams[0]?.frames).toEqual([]);
    greet();
    expect(text(await reply)).toBe("hello");
    expect(Number(streams[0]!.calls[0]!.remainingUs)).toBeLessThan(9_970_000);
  });

  test("without a hello calls end with their deadlines", async () => {
    script = () => {};
    expect((await faultOf(ask({ timeoutMs: 50 }))).id).toBe("deadline-exceeded");
    expect(streams[0]?.frames).toEqual([]);
  });

  const refusals: [string, object, string][] = [
    ["route headers that are not its own", statusFromFault(new Fault("wrong-placement", "other")), "stamp-mismatch"],
    ["a failed precondition", { code: status.FAILED_PRECONDITION, details: "other" }, "stamp-mismatch"],
    ["a denial", { code: status.PERMISSION_DENIED, details: "no" }, "shard-failed"],
    ["what it holds against the stream", { code: status.INVALID_ARGUMENT, details: "no" }, "shard-unavailable"],
  ];
  test.each(refusals)("a stream that is refused for %s fails its calls", async (_name, refusal, id) => {
    script = (stream) => stream.fail(refusal);
    stoppedAt = clock.monotonic();
    expect((await faultOf(ask())).id).toBe(id);
    // For a moment nobody tries again.
    expect((await faultOf(ask())).id).toBe(id);
    expect(streams.length).toBe(1);
    stoppedAt = undefined;
    script = healthy;
    const end = Date.now() + 20_000;
    while ((await ask().catch(() => undefined)) === undefined) {
      expect(Date.now()).toBeLessThan(end);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    expect(streams.length).toBe(2);
  });

  test("a process that does not speak Converse is called by unary gRPC", async () => {
    script = (stream) => stream.fail({ code: status.UNIMPLEMENTED, details: "no such method" });
    expect((await Promise.all([ask(), ask()])).map(text)).toEqual(["by unary", "by unary"]);
    expect(text(await ask())).toBe("by unary");
    expect(streams.length).toBe(1);
    // What is known of a process is forgotten with a new table.
    transport.keep(new Set([address]));
    expect(text(await ask())).toBe("by unary");
    expect(streams.length).toBe(2);
    // Its process is gone: who comes after it may speak it.
    onUnary = (reply) => reply({ code: status.UNAVAILABLE, details: "gone" });
    expect((await faultOf(ask())).id).toBe("shard-unavailable");
    script = healthy;
    const end = Date.now() + 20_000;
    while ((await ask().catch(() => undefined))?.transport !== "stream") {
      expect(Date.now()).toBeLessThan(end);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  });
});

describe("packing", () => {
  test("calls of one turn share a frame, and know it", async () => {
    script = healthy;
    await ask();
    const replies = await Promise.all(Array.from({ length: 20 }, () => ask()));
    expect(streams[0]!.frames.map(({ calls }) => calls.length)).toEqual([1, 20]);
    expect(replies[0]).toMatchObject({ callsInFrame: 20, pod: "pod-7", transport: "stream" });
    expect([transport.counts.framesSent, transport.counts.callsSent]).toEqual([2, 21]);
  });

  test("frames have at most 64 KiB, and larger requests go by unary gRPC", async () => {
    script = healthy;
    const requests = Array.from({ length: 10 }, (_, i) => Buffer.alloc(30_000, String(i)));
    const replies = await Promise.allSettled(requests.map((request) => ask({ request })));
    // The service's fragments are too large here; what counts is what it was sent.
    expect(replies.length).toBe(10);
    expect(streams[0]!.frames.filter(({ calls }) => calls.length > 0).map(({ calls }) => calls.length)).toEqual([
      2, 2, 2, 2, 2,
    ]);
    expect(text(await ask({ request: Buffer.alloc(32 * 1024 + 1) }))).toBe("by unary");
  });

  test("ids ascend; a cancelled call that was not sent yet never is", async () => {
    script = healthy;
    const controller = new AbortController();
    const gone = faultOf(ask({ request: Buffer.from("gone") }, controller.signal));
    const here = ask();
    controller.abort();
    expect((await gone).id).toBe("cancelled");
    await here;
    await ask();
    expect(streams[0]!.calls.map(({ id, request }) => [id, requestOf(request)])).toEqual([
      [1n, "hello"],
      [2n, "hello"],
    ]);
  });
});

test("closing ends the streams that are on their way out too", async () => {
  script = healthy;
  await ask();
  transport.keep(new Set(["127.0.0.1:1"]));
  expect(transport.counts.open).toBe(1);
  transport.close();
  expect(transport.counts.open).toBe(0);
});

describe("draining", () => {
  test("the replacement is opened, what is under way is answered, and the old stream ends", async () => {
    script = healthy;
    await ask();
    // It has lived long enough to be replaced before somebody calls.
    skewMs = 2_000;
    const old = streams[0]!;
    old.onFrame = () => {};
    const underWay = ask();
    await until(() => old.calls.length === 2, "a call is under way");
    old.send({ drain: { grace: { seconds: 10n, nanos: 0 } } });
    await until(() => streams.length === 2, "the replacement is there");
    expect((await ask()).stamp).toEqual(STAMP);
    expect(old.calls.length).toBe(2);
    expect(old.ended).toBe(false);
    old.send({ fragments: [{ id: 2n, stamp: STAMP, data: Buffer.from("late"), status: OK }] });
    expect(text(await underWay)).toBe("late");
    await until(() => old.ended, "the old stream has ended");
    await until(() => transport.counts.open === 1, "one stream is left");
    expect(transport.counts.lost.size).toBe(0);
  });
});

describe("what is large goes by a stream on a connection of its own", () => {
  const isBulk = (stream: PeerStream) => stream.headers.get("x-skynetes-stream").map(String);

  test("streaming methods", async () => {
    script = answering((stream, id) => {
      stream.send({
        fragments: [
          { id, stamp: STAMP },
          { id, data: Buffer.from("row"), messageEnd: true },
          { id, status: OK },
        ],
      });
      return true;
    });
    const rows = await transport.stream(callOf(address, { path: ROWS }), NEVER);
    expect(rows.transport).toBe("bulk");
    expect(streams.map(isBulk)).toEqual([["bulk"]]);
    const { sessions } = server as unknown as { sessions: Map<unknown, unknown> };
    script = healthy;
    await ask();
    expect([streams.length, sessions.size]).toEqual([2, 2]);
  });

  test("unary methods whose partials were large lately", async () => {
    script = answering((stream, id, request) => {
      if (request !== "large") return false;
      stream.send({ fragments: [{ id, stamp: STAMP }] });
      for (let i = 0; i < 16; i++) stream.send({ fragments: [{ id, data: Buffer.alloc(16_384) }] });
      const before = stream.onFrame;
      stream.onFrame = (frame) => {
        for (const credit of frame.credits) {
          if (credit.id === id) stream.send({ fragments: [{ id, data: Buffer.alloc(1), status: OK }] });
        }
        before(frame);
      };
      return true;
    });
    expect((await ask({ request: Buffer.from("large") })).transport).toBe("stream");
    expect((await ask()).transport).toBe("bulk");
    expect((await ask({ path: "/probe.v1.Probe/Other" })).transport).toBe("stream");
  });
});

describe("sentinels", () => {
  const manyCalls = async (count: number) => {
    for (let i = 0; i < count; i += 100) {
      await Promise.allSettled(Array.from({ length: Math.min(100, count - i) }, () => ask()));
    }
  };

  test("one call in a thousand goes by unary gRPC", async () => {
    script = healthy;
    await manyCalls(2_000);
    expect(unaryCalls.length).toBe(2);
    expect(transport.counts.callsSent).toBe(1_998);
    expect(streams.length).toBe(1);
  });

  test.each([status.PERMISSION_DENIED, status.UNAUTHENTICATED])("a denial (%i) closes the streams", async (code) => {
    script = answering((_stream, _id, request) => request === "under way");
    onUnary = (reply) => reply({ code, details: "by policy" });
    await manyCalls(998);
    const underWay = faultOf(ask({ request: Buffer.from("under way") }));
    await until(() => streams[0]!.calls.length === 999, "a call is under way");
    const denied = await faultOf(ask());
    expect([denied.id, denied.detail.reason]).toEqual(["shard-failed", status[code]]);
    // It is not what was denied: asked anew, it will be told what holds for it.
    expect((await underWay).detail.reason).toBe("STREAM_DENIED");
    await until(() => streams[0]!.ended, "the stream is closed");
    expect(transport.counts.sentinelsDenied).toBe(1);
    script = (stream) => stream.fail({ code, details: "by policy" });
    expect((await faultOf(ask())).id).toBe("shard-failed");
  });
});

/** A frame with one fragment, made beforehand so that many are sent within one turn. */
function fragmentFrame(id: number, data: Buffer): Buffer {
  const length = (n: number) => Buffer.from([(n & 0x7f) | 0x80, ((n >>> 7) & 0x7f) | 0x80, n >>> 14]);
  const fragment = Buffer.concat([Buffer.from([0x08, id, 0x12]), length(data.length), data, Buffer.from([0x30, 1])]);
  return Buffer.concat([Buffer.from([0x12]), length(fragment.length), fragment]);
}
