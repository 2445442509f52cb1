import { connect as connectHttp2, constants } from "node:http2";
import { connect, createServer, type Socket } from "node:net";
import { create, toBinary } from "@bufbuild/protobuf";
import { status } from "@grpc/grpc-js";
import { afterEach, describe, expect, test } from "vitest";
import { DelayService } from "../../examples/flights/generated/flights/v1/delay_pb.ts";
import type { ServeOptions } from "../../src/service/serve/serve-service.ts";
import { CONVERSE_PATH, SILENCE_MAX_MS } from "../../src/wire/converse/limits.ts";
import { ConverseRequestSchema } from "../../src/wire/generated/skynetes/v1/shard_pb.ts";
import { ConverseClient } from "../acceptance/converse-client.ts";
import { ManualClock } from "../wire/converse/manual-clock.ts";
import { messagesOf, openStream, packed } from "./packed-calls.ts";
import { inTemporaryDirectory, type Served, served, VERSION } from "./running.ts";
import { scripted, writeSmallShard } from "./small-flights.ts";

const { summarize, search } = DelayService.method;

/** How long an event may take on a machine that is busy with other things. */
const PATIENCE = { timeout: 30_000 };

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

async function bound(methods: Parameters<typeof scripted>[0], options: Partial<ServeOptions> = {}): Promise<Served> {
  const service = await served(scripted(methods), options);
  closing.push(() => service.close());
  await inTemporaryDirectory(async (directory) => service.bind(await writeSmallShard(directory)));
  return service;
}

function opened(service: Served): ConverseClient {
  const stream = openStream(service);
  closing.push(() => stream.close());
  return stream;
}

/** A handler that ends when it is told to, or with its signal's reason. */
function held() {
  const begun: { readonly finish: () => void; readonly reason: Promise<unknown> }[] = [];
  const handler = (_request: unknown, _state: unknown, { signal }: { readonly signal: AbortSignal }) => {
    return new Promise<{ flights: bigint }>((resolve, reject) => {
      const reason = new Promise<unknown>((tell) => {
        signal.addEventListener("abort", () => {
          tell(signal.reason);
          reject(signal.reason);
        });
      });
      begun.push({ finish: () => resolve({ flights: 9n }), reason });
    });
  };
  return { handler, begun };
}

function row(delayMinutes: bigint, origin = "A") {
  return { time: { seconds: 0n, nanos: 0 }, origin, destination: "B", delayMinutes, distanceMiles: 0n };
}

describe("deadlines", () => {
  test("end the call at once, abort its handler, and leave the stream to others", async () => {
    const clock = new ManualClock();
    const { handler, begun } = held();
    const service = await bound({ summarize: handler }, { clock });
    const stream = opened(service);
    stream.send({
      calls: [packed(1, summarize, {}, { remainingMs: 1500 }), packed(2, summarize, {}, { remainingMs: 2500 })],
    });
    await expect.poll(() => begun.length, PATIENCE).toBe(2);
    clock.advance(1499);
    stream.send({ calls: [packed(3, summarize, {}, { shard: 7 })] });
    await stream.answer(3);
    expect(stream.isAnswered(1)).toBe(false);
    clock.advance(1);
    expect((await stream.answer(1)).status).toMatchObject({
      code: status.DEADLINE_EXCEEDED,
      fault: "deadline-exceeded",
    });
    expect(await begun[0]?.reason).toMatchObject({ name: "TimeoutError" });
    expect(stream.isAnswered(2)).toBe(false);
    begun[1]?.finish();
    expect((await stream.answer(2)).status.code).toBe(status.OK);
  });
});

test("a call that is cancelled before its turn has come never reaches its handler", async () => {
  const clock = new ManualClock();
  let ran = 0;
  const service = await bound(
    {
      summarize() {
        ran++;
        // The turn is used up, so the others wait for the next.
        clock.advance(5);
        return {};
      },
    },
    { clock },
  );
  const stream = opened(service);
  const ids = Array.from({ length: 50 }, (_, i) => i + 1);
  stream.send({ calls: ids.map((id) => packed(id, summarize, {})), cancelled: ids.slice(1).map(BigInt) });
  await stream.answer(1);
  stream.send({ calls: [packed(100, summarize, {})] });
  await stream.answer(100);
  expect(ran).toBe(2);
});

describe("silence", () => {
  test("closes the stream and gives up its calls; any frame is a sign of life", async () => {
    const clock = new ManualClock();
    const { handler, begun } = held();
    const service = await bound({ summarize: handler }, { clock });
    const stream = opened(service);
    stream.send({ calls: [packed(1, summarize, {})] });
    await expect.poll(() => begun.length, PATIENCE).toBe(1);
    for (let i = 0; i < 3; i++) {
      clock.advance(SILENCE_MAX_MS - 1);
      stream.send({ calls: [packed(2 + i, summarize, {}, { shard: 7 })] });
      await stream.answer(2 + i);
    }
    clock.advance(SILENCE_MAX_MS);
    expect(await stream.ended).toMatchObject({ code: status.UNAVAILABLE });
    expect(await begun[0]?.reason).toMatchObject({ name: "AbortError" });
    const beats = stream.frames.flatMap(({ heartbeat }) => Number(heartbeat?.sequence ?? []) || []);
    expect(beats.length).toBeGreaterThan(2);
    expect(beats).toEqual(beats.toSorted((a, b) => a - b));
  });

  test("of a socket that is half open is noticed, and the process closes all the same", async () => {
    const clock = new ManualClock();
    const { handler, begun } = held();
    const service = await bound({ summarize: handler }, { clock });
    const way = await wayTo(service.service.address);
    closing.push(() => way.close());
    const stream = new ConverseClient(way.address, { "x-skynetes-version": VERSION }, false);
    closing.push(() => stream.close());
    stream.send({ calls: [packed(1, summarize, {})] });
    await expect.poll(() => begun.length, PATIENCE).toBe(1);
    way.cut();
    clock.advance(SILENCE_MAX_MS);
    expect(await begun[0]?.reason).toMatchObject({ name: "AbortError" });
    // Its status cannot leave: the stream is reset a second later, and nothing of it is left.
    clock.advance(1000);
    const closed = service.service.close();
    await expect
      .poll(() => {
        clock.advance(1000);
        return clock.timers;
      }, PATIENCE)
      .toBe(0);
    await closed;
  });
});

test("a gateway that takes nothing is reset a second after its stream has ended", async () => {
  const clock = new ManualClock();
  let ran = 0;
  const service = await bound(
    {
      dailyCounts() {
        ran++;
        return { days: [{ day: "d".repeat(100_000), flights: 1n }] };
      },
    },
    { clock },
  );
  const session = connectHttp2(`http://${service.service.address}`, { settings: { initialWindowSize: 1000 } });
  closing.push(() => session.destroy());
  const stream = session.request({
    ":method": "POST",
    ":path": CONVERSE_PATH,
    "content-type": "application/grpc",
    te: "trailers",
    "x-skynetes-version": VERSION,
  });
  stream.on("error", () => {});
  const closed = new Promise<number | undefined>((resolve) => stream.on("close", () => resolve(stream.rstCode)));
  const responded = new Promise((resolve) => stream.once("response", resolve));
  stream.pause();
  const calls = [packed(1, DelayService.method.dailyCounts, {})];
  stream.write(prefixed(toBinary(ConverseRequestSchema, create(ConverseRequestSchema, { calls }))));
  await responded;
  await expect.poll(() => ran, PATIENCE).toBe(1);
  stream.write(prefixed(Buffer.from([0xff])));
  // The status waits behind the answer, which waits for a window that never opens.
  let code: number | undefined | "open" = "open";
  void closed.then((reset) => {
    code = reset;
  });
  await expect
    .poll(() => {
      clock.advance(1000);
      return code;
    }, PATIENCE)
    .toBe(constants.NGHTTP2_CANCEL);
});

/** A message as gRPC frames it. */
function prefixed(message: Uint8Array): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

/** A way to an address that can be cut without either side being told. */
async function wayTo(address: string) {
  const [host = "", port = ""] = address.split(":");
  const sockets: Socket[] = [];
  const server = createServer((near) => {
    const far = connect(Number(port), host);
    sockets.push(near, far);
    near.on("error", () => {}).pipe(far);
    far.on("error", () => {}).pipe(near);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port: own } = server.address() as { port: number };
  return {
    address: `127.0.0.1:${own}`,
    cut() {
      for (const socket of sockets) socket.unpipe().pause();
    },
    close() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

describe("closing", () => {
  test("asks for another stream, answers what is under way, refuses what is new, then ends the stream", async () => {
    const { handler, begun } = held();
    const service = await bound({ summarize: handler });
    const stream = opened(service);
    stream.send({ calls: [packed(1, summarize, {})] });
    await expect.poll(() => begun.length, PATIENCE).toBe(1);
    const closed = service.service.close();
    await stream.until(() => stream.frames.some(({ drain }) => drain !== undefined), "a drain");
    expect(stream.frames.find(({ drain }) => drain !== undefined)?.drain?.grace).toMatchObject({ seconds: 10n });
    stream.send({ calls: [packed(2, summarize, {})] });
    expect((await stream.answer(2)).status).toMatchObject({ code: status.UNAVAILABLE, fault: "not-ready" });
    begun[0]?.finish();
    expect((await stream.answer(1)).status.code).toBe(status.OK);
    expect(await stream.ended).toMatchObject({ code: status.UNAVAILABLE });
    await closed;
  });

  test("waits until a partial has been taken, and no longer than the grace for one that is not", async () => {
    for (const isTaken of [true, false]) {
      const clock = new ManualClock();
      const service = await bound(
        { dailyCounts: () => ({ days: [{ day: "d".repeat(400_000), flights: 1n }] }) },
        { clock },
      );
      const stream = opened(service);
      stream.send({ calls: [packed(1, DelayService.method.dailyCounts, {})] });
      await stream.until(() => stream.received(1) === 256 * 1024, "the credit is used");
      const closed = service.service.close();
      await stream.until(() => stream.frames.some(({ drain }) => drain !== undefined), "a drain");
      for (let id = 2; id < 5; id++) {
        clock.advance(1000);
        stream.send({ calls: [packed(id, summarize, {})] });
        expect((await stream.answer(id)).status).toMatchObject({ fault: "not-ready" });
      }
      if (isTaken) stream.send({ credits: [{ id: 1n, bytes: 2 ** 30 }] });
      if (isTaken) expect((await stream.answer(1)).status.code).toBe(status.OK);
      // The gateway does not leave, so the waiting for it has its bound too.
      let ended = false;
      void stream.ended.then(() => {
        ended = true;
      });
      await expect
        .poll(() => {
          clock.advance(500);
          return ended;
        }, PATIENCE)
        .toBe(true);
      expect((await stream.ended).code).toBe(status.UNAVAILABLE);
      expect(stream.isAnswered(1)).toBe(isTaken);
      await closed;
    }
  });

  test("cancels handlers that do not end within the grace, and says so", async () => {
    const { handler, begun } = held();
    const service = await bound({ summarize: handler }, { drainGraceMs: 50 });
    const stream = opened(service);
    stream.send({ calls: [packed(1, summarize, {})] });
    await expect.poll(() => begun.length, PATIENCE).toBe(1);
    const closed = service.service.close();
    expect((await stream.answer(1)).status).toMatchObject({ code: status.CANCELLED });
    await closed;
  });

  test("is not held up by a gateway that leaves when it is asked to", async () => {
    const clock = new ManualClock();
    const service = await bound({}, { clock });
    const stream = opened(service);
    await stream.until(() => stream.frames.length > 0, "hello");
    const closed = service.service.close();
    await stream.until(() => stream.frames.some(({ drain }) => drain !== undefined), "a drain");
    stream.halfClose();
    expect(await stream.ended).toMatchObject({ code: status.OK });
    stream.close();
    // The clock stands still: nothing but the gateway's leaving ends the waiting.
    await closed;
  });
});

describe("streaming methods", () => {
  test("send each row as a message, in order, and stop at the limit", async () => {
    let closed = false;
    const service = await bound({
      *search() {
        try {
          for (let i = 0n; ; i++) yield row(i, "x".repeat(30_000));
        } finally {
          closed = true;
        }
      },
    });
    const stream = opened(service);
    stream.send({ calls: [packed(1, search, { limit: 5, offset: 2 })] });
    const answer = await stream.answer(1);
    expect(answer.status.code).toBe(status.OK);
    expect(messagesOf(stream, 1, search).map((message) => message.delayMinutes)).toEqual([0n, 1n, 2n, 3n, 4n, 5n, 6n]);
    expect(answer.stamp).toMatchObject({ snapshot: "s1" });
    expect(closed).toBe(true);
  });

  test("rows out of order end the call, naming the field", async () => {
    const service = await bound({ search: () => [row(1n), row(3n), row(2n)] }, { report: () => {} });
    const stream = opened(service);
    stream.send({ calls: [packed(1, search, {})] });
    expect((await stream.answer(1)).status).toMatchObject({
      fault: "internal",
      message: expect.stringContaining("out of order in field delay_minutes"),
    });
  });

  test("a gateway that grants nothing holds the handler back; one that grants lets it go on; one that cancels ends it", async () => {
    let yielded = 0;
    let closed: () => void = () => {};
    const ended = new Promise<void>((resolve) => {
      closed = resolve;
    });
    const service = await bound({
      *search() {
        try {
          for (;;) yield row(BigInt(yielded++), "x".repeat(10_000));
        } finally {
          closed();
        }
      },
      summarize: () => ({ flights: 1n }),
    });
    const stream = opened(service);
    let id = 1;
    const othersAnswered = async () => {
      stream.send({ calls: [packed(++id, summarize, {})] });
      await stream.answer(id);
    };
    stream.send({ calls: [packed(1, search, {})] });
    await stream.until(() => stream.received(1) === 256 * 1024, "the credit is used");
    for (let i = 0; i < 20; i++) await othersAnswered();
    // 256 KiB are sent, and a little waits.
    expect(yielded).toBeLessThan(40);
    const before = yielded;
    stream.send({ credits: [{ id: 1n, bytes: 200_000 }] });
    await stream.until(() => stream.received(1) === 256 * 1024 + 200_000, "the grant is used");
    for (let i = 0; i < 20; i++) await othersAnswered();
    expect(yielded).toBeGreaterThan(before + 15);
    expect(yielded).toBeLessThan(60);
    stream.send({ cancelled: [1n] });
    await ended;
  });
});

describe("too much at once", () => {
  test("one stream takes half of what the process takes; both refuse with advice, and what ended makes room", async () => {
    const { handler, begun } = held();
    const service = await bound({ summarize: handler });
    const [first, second, third] = [opened(service), opened(service), opened(service)];
    const fill = async (stream: ConverseClient, calls: number) => {
      const before = begun.length;
      for (let id = 1; id <= calls; id += 128) {
        stream.send({ calls: Array.from({ length: 128 }, (_, i) => packed(id + i, summarize, {})) });
      }
      await expect.poll(() => begun.length, PATIENCE).toBe(before + calls);
    };
    const refused = async (stream: ConverseClient, id: number) => {
      stream.send({ calls: [packed(id, summarize, {})] });
      const { status: end, stamp } = await stream.answer(id);
      expect(end).toMatchObject({ code: status.UNAVAILABLE, fault: "overloaded" });
      expect(end.retryAfterMs).toBeGreaterThan(0);
      expect(stamp).toBeUndefined();
    };
    await fill(first, 512);
    await refused(first, 1000);
    await fill(second, 512);
    await refused(third, 1);
    begun[0]?.finish();
    await first.answer(1);
    third.send({ calls: [packed(2, summarize, {})] });
    await expect.poll(() => begun.length, PATIENCE).toBe(1025);
    for (const { finish } of begun) finish();
    expect((await third.answer(2)).status.code).toBe(status.OK);
  });

  test("partials that nobody takes are bounded: the next is refused, and taken again once they are gone", async () => {
    const day = { day: "d".repeat(600_000), flights: 1n };
    const service = await bound(
      { dailyCounts: () => ({ days: [day] }), summarize: () => ({}) },
      { unsentLimitBytes: 4_000_000 },
    );
    const { dailyCounts } = DelayService.method;
    const stream = opened(service);
    stream.send({ calls: [1, 2, 3, 4, 5, 6].map((id) => packed(id, dailyCounts, {})) });
    expect((await stream.answer(6)).status).toMatchObject({ fault: "overloaded" });
    // Whatever is asked on this stream is refused before its handler runs; other streams have their own share.
    stream.send({ calls: [packed(7, summarize, {})] });
    expect((await stream.answer(7)).status).toMatchObject({ fault: "overloaded" });
    const other = opened(service);
    other.send({ calls: [packed(1, summarize, {})] });
    expect((await other.answer(1)).status.code).toBe(status.OK);
    const waiting = [1, 2, 3, 4, 5, 6].filter((id) => !stream.isAnswered(id));
    stream.send({ cancelled: waiting.map(BigInt) });
    stream.send({ calls: [packed(8, summarize, {})] });
    expect((await stream.answer(8)).status.code).toBe(status.OK);
  });
});
