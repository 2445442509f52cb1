import { create, toBinary } from "@bufbuild/protobuf";
import { status } from "@grpc/grpc-js";
import { afterEach, describe, expect, test } from "vitest";
import { DelayService, SummarizeResponseSchema } from "../../examples/flights/generated/flights/v1/delay_pb.ts";
import { Fault } from "../../src/fault/fault.ts";
import type { Authorize, CallToAuthorize } from "../../src/service/define-service.ts";
import type { AccessEntry } from "../../src/service/serve/call-record.ts";
import type { ServeOptions } from "../../src/service/serve/serve-service.ts";
import { type StepEvent, stepChannel } from "../../src/telemetry/step-channel.ts";
import type { ConverseClient } from "../acceptance/converse-client.ts";
import { openStream, packed } from "./packed-calls.ts";
import { inTemporaryDirectory, type Served, served, VERSION } from "./running.ts";
import { scripted, writeSmallShard } from "./small-flights.ts";

const { summarize, search } = DelayService.method;
const target = { version: VERSION, shard: 0, snapshot: "s1" };

/** How long an event may take on a machine that is busy with other things. */
const PATIENCE = { timeout: 30_000 };

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

async function bound(
  methods: Parameters<typeof scripted>[0],
  options: Partial<ServeOptions> = {},
  authorize?: Authorize,
): Promise<Served> {
  const definition = scripted(methods);
  const service = await served(authorize === undefined ? definition : { ...definition, authorize }, options);
  closing.push(() => service.close());
  await inTemporaryDirectory(async (directory) => service.bind(await writeSmallShard(directory)));
  return service;
}

function opened(service: Served, headers: Readonly<Record<string, string>> = {}): ConverseClient {
  const stream = openStream(service, headers);
  closing.push(() => stream.close());
  return stream;
}

describe("what goes wrong is the same fault on every transport", () => {
  const faults: readonly [origin: string, target: object, expected: object][] = [
    ["invalid", {}, { id: "invalid-request", message: "origin is odd" }],
    ["busy", {}, { id: "overloaded", message: "come back", detail: { retryAfterMs: 250 } }],
    ["error", {}, { id: "internal", message: "flights.v1.DelayService/Summarize: undefined is not a flight" }],
    ["long", {}, { id: "internal" }],
    ["fine", { shard: 7 }, { id: "snapshot-not-bound" }],
    ["fine", { snapshot: "s2" }, { id: "snapshot-not-bound" }],
    ["fine", { snapshot: "latest" }, { id: "malformed-request" }],
  ];
  test("with its id, its message and its advice", async () => {
    const service = await bound(
      {
        summarize({ origin }) {
          if (origin === "invalid") throw new Fault("invalid-request", "origin is odd");
          if (origin === "busy") throw new Fault("overloaded", "come back", { retryAfterMs: 250 });
          if (origin === "error") throw new TypeError("undefined is not a flight");
          if (origin === "long") throw new Error("x".repeat(100_000));
          return { flights: 1n };
        },
      },
      { report: () => {} },
    );
    const stream = opened(service);
    let id = 0;
    for (const [origin, change, expected] of faults) {
      const alone = await service.caller.call(summarize, { origin }, { ...target, ...change }).catch((e: unknown) => e);
      expect(alone).toMatchObject(expected);
      stream.send({ calls: [packed(++id, summarize, { origin }, change)] });
      const end = (await stream.answer(id)).status;
      const fault = alone as Fault;
      expect(end).toMatchObject({
        code: status[fault.code],
        fault: fault.id,
        retryAfterMs: fault.detail.retryAfterMs ?? 0,
      });
      // Of a route header the message names the header.
      if (fault.id !== "malformed-request") expect(end.message).toBe(fault.message);
      expect(end.message.length).toBeLessThan(1100);
    }
  });

  test("a handler that fails has stamped its call, one that was never reached has not", async () => {
    const service = await bound({
      summarize: () => {
        throw new Fault("invalid-request", "never");
      },
    });
    const stream = opened(service);
    stream.send({ calls: [packed(1, summarize, {}), packed(2, summarize, {}, { shard: 7 })] });
    expect((await stream.answer(1)).stamp).toMatchObject({ snapshot: "s1" });
    expect((await stream.answer(2)).stamp).toBeUndefined();
  });
});

describe("authorize", () => {
  const summarizePath = "flights.v1.DelayService/Summarize";

  /** The fault's id of each transport's call; undefined: it was answered. */
  async function outcomes(service: Served, stream: ConverseClient, id: number) {
    const idOf = (call: Promise<unknown>) =>
      call.then(
        () => undefined,
        (error: Fault) => error.id,
      );
    const unary = await idOf(service.caller.call(summarize, {}, target));
    const streaming = await idOf(service.caller.call(search, {}, target));
    stream.send({ calls: [packed(id, summarize, {})] });
    return [unary, streaming, (await stream.answer(id)).status.fault || undefined];
  }

  test("is asked for every call on every transport, with what the peer said of itself", async () => {
    const asked: CallToAuthorize[] = [];
    const service = await bound({ summarize: () => ({}), search: () => [] }, {}, (call) => {
      asked.push(call);
      return "allowed";
    });
    const stream = opened(service, { "x-forwarded-client-cert": "URI=spiffe://mesh/gateway" });
    expect(await outcomes(service, stream, 1)).toEqual([undefined, undefined, undefined]);
    const common = { shard: 0, snapshot: "s1", peer: { address: expect.stringContaining("127.0.0.1:") } };
    expect(asked).toMatchObject([
      { ...common, transport: "unary", method: summarizePath },
      { ...common, transport: "streaming", method: "flights.v1.DelayService/Search" },
      { ...common, transport: "converse", method: summarizePath },
    ]);
    expect(asked[2]?.peer.header("x-forwarded-client-cert")).toEqual(["URI=spiffe://mesh/gateway"]);
    expect(asked[0]?.peer.header("x-forwarded-client-cert")).toEqual([]);
  });

  const denials: readonly [string, Authorize, string][] = [
    ["a fault", () => new Fault("permission-denied", "not you"), "permission-denied"],
    ["a fault that comes later", async () => new Fault("permission-denied", "not you"), "permission-denied"],
    ["no answer", () => undefined as never, "permission-denied"],
    ["an answer that is not one", () => true as never, "permission-denied"],
    [
      "a rule that fails",
      () => {
        throw new Error("rules are away");
      },
      "internal",
    ],
  ];
  test.each(denials)("%s denies, and no handler runs", async (_what, rule, fault) => {
    let ran = 0;
    const count = () => {
      ran++;
      return {};
    };
    const service = await bound({ summarize: count, search: () => [count() as never] }, { report: () => {} }, rule);
    expect(await outcomes(service, opened(service), 1)).toEqual([fault, fault, fault]);
    expect(ran).toBe(0);
  });

  test("of the definition and of the process must both allow", async () => {
    const deny: Authorize = () => new Fault("permission-denied", "not you");
    const allow: Authorize = () => "allowed";
    for (const [own, process, denied] of [
      [allow, deny, true],
      [deny, allow, true],
      [allow, allow, false],
    ] as const) {
      const service = await bound({ summarize: () => ({}) }, { authorize: process }, own);
      const fault = denied ? "permission-denied" : undefined;
      expect((await outcomes(service, opened(service), 1))[2]).toBe(fault);
    }
  });
});

describe("what is told of calls", () => {
  const traceparent = `00-${"1".repeat(32)}-${"2".repeat(16)}-01`;
  const methods = {
    summarize: () => ({ flights: 1n }),
    *search() {
      for (const delayMinutes of [1n, 2n]) yield { delayMinutes, origin: "A" };
    },
  };

  test("the access log has a line for each, whatever its transport and however it ended", async () => {
    const entries: AccessEntry[] = [];
    const service = await bound(methods, { accessLog: (entry) => entries.push(entry) });
    const stream = opened(service);
    await service.caller.call(summarize, {}, target);
    await service.caller.call(search, {}, target);
    await service.caller.call(summarize, {}, { ...target, shard: 7 }).catch(() => {});
    await service.caller.call(summarize, {}, { ...target, shard: "x" }).catch(() => {});
    stream.send({ calls: [packed(1, summarize, {}, { traceparent })] });
    await stream.answer(1);
    stream.send({ calls: [packed(2, summarize, {}, { remainingMs: 0 })] });
    await stream.answer(2);
    const ok = { shard: 0, snapshot: "s1", code: "OK", fault: undefined, traceId: undefined };
    const bytes = toBinary(SummarizeResponseSchema, create(SummarizeResponseSchema, { flights: 1n })).length;
    await expect
      .poll(() => entries, PATIENCE)
      .toMatchObject([
        { ...ok, transport: "unary", method: "flights.v1.DelayService/Summarize", bytes, messages: 1 },
        { ...ok, transport: "streaming", method: "flights.v1.DelayService/Search", messages: 2 },
        { transport: "unary", shard: 7, code: "FAILED_PRECONDITION", fault: "snapshot-not-bound", bytes: 0 },
        { transport: "unary", shard: undefined, snapshot: undefined, fault: "malformed-request" },
        { ...ok, transport: "converse", bytes, messages: 1, traceId: "1".repeat(32) },
        { transport: "converse", code: "DEADLINE_EXCEEDED", fault: "deadline-exceeded", messages: 0 },
      ]);
    for (const { queueUs, serviceUs, peer, time } of entries) {
      expect(Math.min(queueUs, serviceUs)).toBeGreaterThanOrEqual(0);
      expect(peer).toContain("127.0.0.1:");
      expect(Math.abs(Date.now() - time)).toBeLessThan(60_000);
    }
  });

  test("a call's step has the same facts on every transport, and is part of its caller's trace", async () => {
    const service = await bound(methods);
    const stream = opened(service);
    const seen: StepEvent[] = [];
    const nothing = () => {};
    const asyncEnd = (event: StepEvent) => void (event.way === "service" && event.step === "call" && seen.push(event));
    const watch = { start: nothing, end: nothing, asyncStart: nothing, asyncEnd, error: nothing };
    stepChannel.subscribe(watch);
    try {
      await service.caller.call(summarize, {}, target, { headers: (h) => h.set("traceparent", traceparent) });
      stream.send({ calls: [packed(1, summarize, {}, { traceparent })] });
      await stream.answer(1);
      stream.send({ calls: [packed(2, summarize, {}, { shard: 7, traceparent: "00-no-trace-01" })] });
      await stream.answer(2);
      await expect.poll(() => seen.length, PATIENCE).toBe(3);
    } finally {
      stepChannel.unsubscribe(watch);
    }
    const facts = { method: "flights.v1.DelayService/Summarize", shard: 0, snapshot: "s1", traceparent };
    expect(seen.map((event) => event.facts)).toEqual([
      { ...facts, transport: "unary" },
      { ...facts, transport: "converse" },
      {
        method: facts.method,
        transport: "converse",
        shard: 7,
        snapshot: "s1",
        fault: "snapshot-not-bound",
      },
    ]);
    expect(seen.map((event) => event.error !== undefined)).toEqual([false, false, true]);
  });

  test("a fragment says where the time of its call went", async () => {
    const service = await bound({
      summarize: async (_request, _state, { signal }) => {
        await new Promise((resolve) => setTimeout(resolve, 20));
        signal.throwIfAborted();
        return {};
      },
    });
    const stream = opened(service);
    stream.send({ calls: [packed(1, summarize, {})] });
    const { fragments } = await stream.answer(1);
    expect(Number(fragments.at(-1)?.timing?.serviceUs)).toBeGreaterThan(15_000);
    expect(Number(fragments.at(-1)?.timing?.queueUs)).toBeLessThan(15_000_000);
  });
});
