import { connect } from "node:http2";
import { setTimeout as sleepMs } from "node:timers/promises";
import type { Metadata } from "@grpc/grpc-js";
import { afterEach, describe, expect, test, vi } from "vitest";
import { DelayService } from "../../examples/flights/generated/flights/v1/delay_pb.ts";
import { Fault } from "../../src/fault/fault.ts";
import { ROUTE_HEADERS } from "../../src/mesh/route-headers.ts";
import type { ServeOptions } from "../../src/service/serve/serve-service.ts";
import { type StepEvent, stepChannel } from "../../src/telemetry/step-channel.ts";
import { inTemporaryDirectory, type Served, served, VERSION } from "./running.ts";
import { ShardCaller } from "./shard-caller.ts";
import { scripted, writeSmallShard } from "./small-flights.ts";

const { summarize, search, topDestinations } = DelayService.method;
const target = { version: VERSION, shard: 0, snapshot: "s1" };

let running: Served | undefined;
afterEach(async () => {
  await running?.close();
  running = undefined;
});

/** A service with shard 0 of snapshot s1 bound. */
async function bound(methods: Parameters<typeof scripted>[0], options: Partial<ServeOptions> = {}): Promise<Served> {
  const service = await served(scripted(methods), options);
  running = service;
  await inTemporaryDirectory(async (directory) => service.bind(await writeSmallShard(directory)));
  return service;
}

function row(delayMinutes: bigint) {
  return { time: { seconds: 0n, nanos: 0 }, origin: "A", destination: "B", delayMinutes, distanceMiles: 0n };
}

describe("route headers", () => {
  const set = (header: string, ...values: string[]) => ({
    headers: (metadata: Metadata) => {
      metadata.remove(header);
      for (const value of values) metadata.add(header, value);
    },
  });
  const refused: readonly [string, ReturnType<typeof set>, string][] = [
    ["another version", set(ROUTE_HEADERS.version, "delay-v2-00000002"), "unknown-version"],
    ["no version", set(ROUTE_HEADERS.version), "malformed-request"],
    ["two versions", set(ROUTE_HEADERS.version, VERSION, "delay-v2-00000002"), "malformed-request"],
    ["two versions in one", set(ROUTE_HEADERS.version, `${VERSION},delay-v2-00000002`), "malformed-request"],
    ["the same version twice", set(ROUTE_HEADERS.version, VERSION, VERSION), "malformed-request"],
    ["another placement", set(ROUTE_HEADERS.placement, "node-c"), "wrong-placement"],
    ["no shard", set(ROUTE_HEADERS.shard), "malformed-request"],
    ["a shard that is no number", set(ROUTE_HEADERS.shard, "0x0"), "malformed-request"],
    ["a negative shard", set(ROUTE_HEADERS.shard, "-1"), "malformed-request"],
    ["two shards", set(ROUTE_HEADERS.shard, "0", "1"), "malformed-request"],
    ["no snapshot", set(ROUTE_HEADERS.snapshot), "malformed-request"],
    ["a snapshot that is a question", set(ROUTE_HEADERS.snapshot, "latest"), "malformed-request"],
  ];
  test("calls that are not plainly for this process are refused and never reach a handler", async () => {
    const handler = vi.fn(() => ({}));
    const service = await bound({ summarize: handler }, { node: ["node-a", "node-b"] });
    for (const [name, headers, id] of refused) {
      await expect(service.caller.call(summarize, {}, target, headers), name).rejects.toMatchObject({ id });
    }
    expect(handler).not.toHaveBeenCalled();
    await service.caller.call(summarize, {}, { ...target, placement: "node-b" });
    await service.caller.call(summarize, {}, target);
    expect(handler).toHaveBeenCalledTimes(2);
  });
});

test("a request of ten thousand long keys is taken: exact top lists may need it", async () => {
  const service = await bound({ topDestinations: () => ({ destinations: [] }) });
  const only = Array.from({ length: 10_000 }, (_, i) => `${i}`.padStart(500, "k"));
  await expect(service.caller.call(topDestinations, { only }, target)).resolves.toBeDefined();
});

test("a call's step is part of its caller's trace; what is no trace context is dropped", async () => {
  const service = await bound({ summarize: () => ({}) });
  const seen: unknown[] = [];
  const nothing = () => {};
  const watch = {
    start: ({ way, step, facts }: StepEvent) => {
      if (way === "service" && step === "call") seen.push(facts.traceparent);
    },
    end: nothing,
    asyncStart: nothing,
    asyncEnd: nothing,
    error: nothing,
  };
  stepChannel.subscribe(watch);
  try {
    const traceparent = `00-${"1".repeat(32)}-${"2".repeat(16)}-01`;
    for (const sent of [traceparent, "00-no-trace-01", undefined]) {
      const headers = (metadata: Metadata) => {
        if (sent !== undefined) metadata.set("traceparent", sent);
      };
      await service.caller.call(summarize, {}, target, { headers });
    }
    expect(seen).toEqual([traceparent, undefined, undefined]);
  } finally {
    stepChannel.unsubscribe(watch);
  }
});

describe("stamps", () => {
  test("come with every reply, before the first message", async () => {
    const service = await bound({ search: () => [row(1n), row(2n)] });
    for (const method of [summarize, search, topDestinations] as const) {
      const partial = await service.caller.call(method, {}, target);
      expect(partial.events[0], method.name).toBe("stamp");
      expect(partial.stamp).toMatchObject({ shard: 0, snapshot: "s1", serviceVersion: VERSION });
    }
  });

  test("come before the handler has answered", async () => {
    let release: () => void = () => {};
    const service = await bound({
      summarize: () =>
        new Promise((resolve) => {
          release = () => resolve({ flights: 1n });
        }),
    });
    const call = service.caller.open(summarize, {}, target);
    await new Promise((resolve) => call.once("metadata", resolve));
    const message = new Promise((resolve) => call.once("data", resolve));
    release();
    expect(await message).toMatchObject({ flights: 1n });
  });
});

describe("handlers that fail", () => {
  test("faults arrive whole, mistakes as INTERNAL without a stack, and the process goes on", async () => {
    const reported: Fault[] = [];
    const service = await bound(
      {
        summarize(request) {
          if (request.origin === "fault") throw new Fault("invalid-request", "origin is odd");
          if (request.origin === "long") throw new Error("x".repeat(100_000));
          if (request.origin === "error") throw new TypeError("undefined is not a flight");
          return { flights: 1n };
        },
        async *search() {
          yield row(1n);
          throw new Error("half way");
        },
      },
      { report: (fault) => reported.push(fault) },
    );
    const ask = (origin: string) => service.caller.call(summarize, { origin }, target);
    await expect(ask("fault")).rejects.toMatchObject({ id: "invalid-request", message: "origin is odd" });
    const internal = await ask("error").catch((error: unknown) => error as Fault);
    expect(internal).toMatchObject({
      id: "internal",
      message: "flights.v1.DelayService/Summarize: undefined is not a flight",
    });
    await expect(ask("long")).rejects.toMatchObject({ id: "internal" });
    await expect(service.caller.call(search, {}, target)).rejects.toMatchObject({
      id: "internal",
      message: "flights.v1.DelayService/Search: half way",
    });
    expect((await ask("fine")).messages[0]?.flights).toBe(1n);
    // Refusals are the caller's to see; mistakes are the author's, with their stack.
    expect(reported.map((fault) => (fault.cause as Error).message.slice(0, 20))).toEqual([
      "undefined is not a f",
      "x".repeat(20),
      "half way",
    ]);
  });

  test("a service without a handler for a method does not start", async () => {
    const definition = scripted();
    const { search: _, ...methods } = definition.methods;
    await expect(served({ ...definition, methods: methods as never })).rejects.toMatchObject({ id: "invalid-service" });
  });
});

describe("streams", () => {
  test("stop at offset + limit, and the handler's iterator is closed", async () => {
    let closed = false;
    const service = await bound({
      *search() {
        try {
          for (let i = 0n; ; i++) yield row(i);
        } finally {
          closed = true;
        }
      },
    });
    const partial = await service.caller.call(search, { limit: 3, offset: 2 }, target);
    expect(partial.messages.map((message) => message.delayMinutes)).toEqual([0n, 1n, 2n, 3n, 4n]);
    expect(closed).toBe(true);
    await expect(service.caller.call(search, { limit: -1 }, target)).rejects.toMatchObject({ id: "invalid-request" });
  });

  test("rows out of the declared order are an error and not an answer", async () => {
    const service = await bound({ search: () => [row(1n), row(3n), row(2n)] }, { report: () => {} });
    await expect(service.caller.call(search, {}, target)).rejects.toMatchObject({
      id: "internal",
      message: expect.stringContaining("out of order in field delay_minutes"),
    });
  });

  test("a caller that goes away stops the handler", async () => {
    let yielded = 0;
    let closed: () => void = () => {};
    const stopped = new Promise<void>((resolve) => {
      closed = resolve;
    });
    const service = await bound({
      *search() {
        try {
          for (;;) yield row(BigInt(yielded++));
        } finally {
          closed();
        }
      },
    });
    const cancel = new AbortController();
    const call = service.caller.call(search, {}, target, { signal: cancel.signal });
    await expect.poll(() => yielded).toBeGreaterThan(100);
    cancel.abort();
    await expect(call).rejects.toMatchObject({ id: "cancelled" });
    await stopped;
    const after = yielded;
    await sleepMs(50);
    expect(yielded).toBe(after);
  });

  test("a caller that does not read holds the handler back", async () => {
    let yielded = 0;
    const service = await bound({
      *search() {
        for (;;) yield { ...row(BigInt(yielded++)), origin: "A".repeat(10_000) };
      },
    });
    // A client of plain HTTP/2, since grpc-js reads ahead of whoever listens to it.
    const session = connect(`http://${service.service.address}`);
    const stream = session.request({
      ":method": "POST",
      ":path": "/flights.v1.DelayService/Search",
      "content-type": "application/grpc",
      te: "trailers",
      [ROUTE_HEADERS.version]: VERSION,
      [ROUTE_HEADERS.shard]: "0",
      [ROUTE_HEADERS.snapshot]: "s1",
    });
    stream.end(Buffer.alloc(5));
    await new Promise((resolve) => stream.once("response", resolve));
    stream.pause();
    await expect.poll(() => yielded).toBeGreaterThan(5);
    await sleepMs(200);
    // A window of HTTP/2 and grpc-js's queue of 16 messages, and not the endless stream.
    expect(yielded).toBeLessThan(100);
    stream.close();
    session.close();
  });
});

describe("signals", () => {
  test("a unary handler's signal aborts at the deadline", async () => {
    let aborted: () => void = () => {};
    const seen = new Promise<void>((resolve) => {
      aborted = resolve;
    });
    const service = await bound({
      summarize: (_request, _state, { signal }) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener("abort", () => {
            aborted();
            reject(signal.reason);
          });
        }),
    });
    await expect(service.caller.call(summarize, {}, target, { timeoutMs: 100 })).rejects.toMatchObject({
      id: "deadline-exceeded",
    });
    await seen;
  });

  test("a unary handler's signal aborts when the caller goes away", async () => {
    let began: () => void = () => {};
    let aborted: () => void = () => {};
    const underWay = new Promise<void>((resolve) => {
      began = resolve;
    });
    const seen = new Promise<void>((resolve) => {
      aborted = resolve;
    });
    const service = await bound({
      summarize: (_request, _state, { signal }) =>
        new Promise((_resolve, reject) => {
          began();
          signal.addEventListener("abort", () => {
            aborted();
            reject(signal.reason);
          });
        }),
    });
    const cancel = new AbortController();
    const call = service.caller.call(summarize, {}, target, { signal: cancel.signal });
    await underWay;
    cancel.abort();
    await expect(call).rejects.toMatchObject({ id: "cancelled" });
    await seen;
  });
});

describe("close", () => {
  test("lets the calls under way finish and refuses new ones", async () => {
    let finish: () => void = () => {};
    let began: () => void = () => {};
    const underWay = new Promise<void>((resolve) => {
      began = resolve;
    });
    const service = await bound({
      summarize: (_request, _state, { signal }) =>
        new Promise((resolve, reject) => {
          signal.addEventListener("abort", () => reject(signal.reason));
          began();
          finish = () => resolve({ flights: 9n });
        }),
    });
    const call = service.caller.call(summarize, {}, target);
    await underWay;
    const closing = service.service.close();
    const late = new ShardCaller(service.service.address);
    await expect(late.call(summarize, {}, target, { timeoutMs: 1000 })).rejects.toMatchObject({ retryable: true });
    late.close();
    finish();
    expect((await call).messages[0]?.flights).toBe(9n);
    await closing;
  });

  test("cancels what has not finished within the grace", async () => {
    let began: () => void = () => {};
    const underWay = new Promise<void>((resolve) => {
      began = resolve;
    });
    const service = await bound(
      {
        summarize: (_request, _state, { signal }) =>
          new Promise((_resolve, reject) => {
            began();
            signal.addEventListener("abort", () => reject(signal.reason));
          }),
      },
      { drainGraceMs: 50 },
    );
    const call = service.caller.call(summarize, {}, target).catch((error: unknown) => error);
    await underWay;
    await service.service.close();
    // The service's own status, not a connection that broke.
    expect(await call).toMatchObject({ id: "cancelled", message: "flights.v1.DelayService/Summarize: cancelled" });
  });
});
