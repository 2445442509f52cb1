import { Metadata, type ServerWritableStream } from "@grpc/grpc-js";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Fault } from "../../src/fault/fault.ts";
import type { ShardTransport } from "../../src/gateway/scatter/shard-transport.ts";
import { statusFromFault } from "../../src/wire/fault-status.ts";
import { AnsweringService, callOf, NODE, ROWS, until, VERSION } from "../gateway/scatter/answering-service.ts";

export interface TransportUnderTest {
  readonly transport: ShardTransport;
  /** Calls are packed. */
  readonly packs: boolean;
}

const PARTIAL_MAX = 8 * 1024 * 1024;
const NEVER = new AbortController().signal;

async function faultOf(work: Promise<unknown>): Promise<Fault> {
  const error = await work.then(
    () => undefined,
    (e: unknown) => e,
  );
  expect(error).toBeInstanceOf(Fault);
  return error as Fault;
}

/** What every `ShardTransport` keeps, against one service that answers all of them alike. */
export function shardTransportAcceptance(name: string, open: (partialBytesMax: number) => TransportUnderTest): void {
  describe(`${name} keeps the contract of shard transports`, () => {
    let service: AnsweringService;
    let under: TransportUnderTest;
    let transport: ShardTransport;
    beforeEach(async () => {
      service = await new AnsweringService().start();
      under = open(PARTIAL_MAX);
      transport = under.transport;
    });
    afterEach(() => {
      transport.close();
      service.stop();
    });
    const ask = (over: Parameters<typeof callOf>[1] = {}, signal = NEVER) =>
      transport.unary(callOf(service.address, over), signal);
    const rows = (over: Parameters<typeof callOf>[1] = {}, signal = NEVER) =>
      transport.stream(callOf(service.address, { path: ROWS, ...over }), signal);

    test("a reply has the bytes, the stamp and the bounds that were sent", async () => {
      const bounds = Buffer.from([0x20, 1, 0x28, 7]);
      service.onUnary = (asked, reply) => {
        asked.stamp(asked.right);
        const trailer = new Metadata();
        trailer.set("x-skynetes-bounds-bin", bounds);
        reply(null, Buffer.from("a partial"), trailer);
      };
      const reply = await ask();
      expect(Buffer.from(reply.message).toString()).toBe("a partial");
      expect(reply.stamp).toEqual({ shard: 3, snapshot: "s1", stateDigest: "digest", serviceVersion: VERSION });
      expect(reply.bounds && Buffer.from(reply.bounds)).toEqual(bounds);
      expect(reply.transport).toBe(under.packs ? "stream" : "unary");
      expect(service.asked[0]?.isPacked).toBe(under.packs);
    });

    test("an empty partial is one, and has no bounds", async () => {
      const reply = await ask({ request: new Uint8Array() });
      expect([reply.message.length, reply.bounds, reply.stamp?.shard]).toEqual([0, undefined, 3]);
    });

    test("a call names its version, placement, shard, snapshot, trace and what is left of its time", async () => {
      const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
      const before = Date.now();
      await ask({ shard: 11, snapshot: "other", traceparent, timeoutMs: 15_000 });
      const { metadata, deadline, request } = service.asked[0]!;
      const one = (header: string) => metadata.get(header).map(String);
      expect(one("x-skynetes-version")).toEqual([VERSION]);
      expect(one("x-skynetes-placement")).toEqual([NODE]);
      expect(one("x-skynetes-shard")).toEqual(["11"]);
      expect(one("x-skynetes-snapshot")).toEqual(["other"]);
      expect(one("traceparent")).toEqual([traceparent]);
      expect(request.toString()).toBe("hello");
      // Both sides round; neither side's reckoning is off by more than the test took.
      expect(deadline).toBeGreaterThan(before + 14_000);
      expect(deadline).toBeLessThan(Date.now() + 15_100);
    });

    test("many calls at once each get their own answer", async () => {
      service.onUnary = (asked, reply) => {
        asked.stamp(asked.right);
        // Not in the order in which they came.
        setTimeout(() => reply(null, asked.request), Number(asked.request.toString()) % 7);
      };
      const texts = Array.from({ length: 500 }, (_, i) => String(i));
      const replies = await Promise.all(texts.map((text) => ask({ request: Buffer.from(text) })));
      expect(replies.map(({ message }) => Buffer.from(message).toString())).toEqual(texts);
    });

    const refusals: [string, object, string, Partial<Fault["detail"]>][] = [
      ["UNAVAILABLE", { code: 14, details: "no" }, "shard-unavailable", { reason: "UNAVAILABLE" }],
      ["FAILED_PRECONDITION", { code: 9, details: "no" }, "snapshot-not-bound", {}],
      ["INTERNAL", { code: 13, details: "no" }, "shard-failed", { reason: "INTERNAL" }],
      ["PERMISSION_DENIED", { code: 7, details: "no" }, "shard-failed", { reason: "PERMISSION_DENIED" }],
      ["INVALID_ARGUMENT", { code: 3, details: "no" }, "invalid-request", { reason: "INVALID_ARGUMENT" }],
      ["RESOURCE_EXHAUSTED", { code: 8, details: "no" }, "overloaded", {}],
      ["CANCELLED by the service", { code: 1, details: "no" }, "shard-unavailable", {}],
      ["UNIMPLEMENTED", { code: 12, details: "no" }, "stamp-mismatch", {}],
      [
        "a fault with advice",
        statusFromFault(new Fault("overloaded", "too much", { retryAfterMs: 250 })),
        "overloaded",
        { retryAfterMs: 250 },
      ],
      ["a fault of its own", statusFromFault(new Fault("overflow", "too great")), "overflow", {}],
      ["a fault of the way", statusFromFault(new Fault("unknown-version", "other")), "stamp-mismatch", {}],
      ["a fault of its process", statusFromFault(new Fault("internal", "broken")), "shard-failed", {}],
    ];
    test.each(refusals)("%s becomes the fault that it means here", async (_name, refusal, id, detail) => {
      service.onUnary = (_asked, reply) => reply(refusal);
      service.onRows = (_asked, call) => call.emit("error", refusal);
      for (const work of [ask(), rows()]) {
        const fault = await faultOf(work);
        expect(fault.id).toBe(id);
        expect(fault.detail).toMatchObject({ shard: 3, ...detail });
      }
      const text = (refusal as { details: string }).details;
      expect((await faultOf(ask())).message).toContain(text);
    });

    test("a method that is not there was asked of somebody else", async () => {
      expect((await faultOf(ask({ path: "/probe.v1.Probe/Nothing" }))).id).toBe("stamp-mismatch");
    });

    // An error that nobody hears would end the process, and this test run.
    test.each([
      ["an address that is none", { address: "" }],
      ["a node whose name no header holds", { node: "knoten-ä€" }],
    ])("%s fails the calls there, and no others", async (_name, over) => {
      await expect(ask(over)).rejects.toBeInstanceOf(Error);
      await expect(rows(over)).rejects.toBeInstanceOf(Error);
      const greeting = transport.greet(callOf(service.address, over), 20_000, NEVER);
      if (under.packs) expect((await faultOf(greeting)).id).toBe("shard-unavailable");
      else expect(await greeting).toBeUndefined();
      expect(Buffer.from((await ask()).message).toString()).toBe("hello");
    });

    test("a reply without a stamp, with two, or with another one says so", async () => {
      const stamps: ((asked: AnsweringService["asked"][number]) => void)[] = [
        () => {},
        (asked) => asked.stamp(asked.right, { ...asked.right, snapshot: "s0" }),
        (asked) => asked.stamp({ ...asked.right, stateDigest: "other" }),
      ];
      service.onUnary = (asked, reply) => {
        stamps[Number(asked.request.toString())]?.(asked);
        reply(null, Buffer.from("not to be read"));
      };
      expect((await ask({ request: Buffer.from("0") })).stamp).toBeUndefined();
      expect((await ask({ request: Buffer.from("1") })).stamp).toBeUndefined();
      expect((await ask({ request: Buffer.from("2") })).stamp?.stateDigest).toBe("other");
      service.onRows = (_asked, call) => {
        call.write(Buffer.from("not to be read"));
        call.end();
      };
      expect((await rows()).stamp).toBeUndefined();
      service.onRows = (_asked, call) => call.end();
      expect((await rows()).stamp).toBeUndefined();
    });

    test("a call can be ended alone, by what the transport has put in it: others of its query go on", async () => {
      const answers: (() => void)[] = [];
      service.onUnary = (asked, reply) => {
        asked.stamp(asked.right);
        answers.push(() => reply(null, asked.request));
      };
      const query = new AbortController();
      const beaten = callOf(service.address);
      const faulted = faultOf(transport.unary(beaten, query.signal));
      await until(() => service.asked.length === 1, "the first has arrived");
      const other = transport.unary(callOf(service.address), query.signal);
      await until(() => service.asked.length === 2, "both have arrived");
      beaten.under?.cancelled(new Fault("cancelled", "another placement answered first"));
      expect((await faulted).id).not.toBe("deadline-exceeded");
      await until(() => service.asked[0]?.cancelled === true, "the service hears of it");
      expect(service.asked[1]?.cancelled).toBe(false);
      answers[1]?.();
      expect((await other).stamp).toBeDefined();
    });

    test("a stream can be ended alone, too", async () => {
      service.onRows = (asked) => asked.stamp(asked.right);
      const call = callOf(service.address, { path: ROWS });
      await transport.stream(call, NEVER);
      expect(call.under).toBeDefined();
      call.under?.cancelled(new Fault("cancelled", "another placement answered first"));
      await until(() => service.asked[0]?.cancelled === true, "the service hears of it");
    });

    test("a cancelled call ends here at once and in the service soon", async () => {
      service.onUnary = () => {};
      service.onRows = () => {};
      for (const work of [ask, rows]) {
        const controller = new AbortController();
        const fault = faultOf(work({}, controller.signal));
        const at = service.asked.length;
        await until(() => service.asked.length > at, "the call is there");
        controller.abort(new Fault("cancelled", "the client went away"));
        expect((await fault).message).toBe("the client went away");
        await until(() => service.asked.at(-1)?.cancelled === true, "the service hears of it");
        expect((await faultOf(work({}, controller.signal))).id).toBe("cancelled");
      }
    });

    test("a call without an answer ends with its deadline, here and in the service", async () => {
      service.onUnary = (asked) => asked.stamp(asked.right);
      service.onRows = () => {};
      for (const work of [ask, rows]) {
        expect((await faultOf(work({ timeoutMs: 60 }))).id).toBe("deadline-exceeded");
        await until(() => service.asked.every((asked) => asked.cancelled), "the service hears of it");
      }
    });

    test("a partial of some megabytes comes whole; one beyond the bound does not, and harms no other", async () => {
      const bytes = Buffer.alloc(5 * 1024 * 1024, "0123456789");
      service.onUnary = (asked, reply) => {
        asked.stamp(asked.right);
        const wanted = asked.request.toString();
        reply(
          null,
          wanted === "large" ? bytes : wanted === "too large" ? Buffer.alloc(PARTIAL_MAX + 1) : asked.request,
        );
      };
      const [large, tooLarge, small] = await Promise.allSettled(
        ["large", "too large", "small"].map((text) => ask({ request: Buffer.from(text) })),
      );
      expect(large?.status === "fulfilled" && bytes.equals(large.value.message)).toBe(true);
      expect(tooLarge).toMatchObject({ reason: { id: "answer-too-large", detail: { shard: 3 } } });
      expect(small).toMatchObject({ value: { stamp: { shard: 3 } } });
    });

    test("a request of a megabyte arrives", async () => {
      const request = Buffer.alloc(1024 * 1024, "0123456789");
      expect(request.equals((await ask({ request })).message)).toBe(true);
    });

    test("a stream's rows come in order, behind its stamp", async () => {
      service.onRows = (asked, call) => {
        asked.stamp(asked.right);
        for (let i = 0; i < 3_000; i++) call.write(Buffer.from(i % 3 === 0 ? "" : String(i)));
        call.end();
      };
      const stream = await rows();
      expect(stream.stamp?.shard).toBe(3);
      const seen: string[] = [];
      for await (const row of stream.messages) seen.push(Buffer.from(row).toString());
      expect(seen).toEqual(Array.from({ length: 3_000 }, (_, i) => (i % 3 === 0 ? "" : String(i))));
    });

    test("a row of two megabytes comes whole", async () => {
      const row = Buffer.alloc(2 * 1024 * 1024, "0123456789");
      service.onRows = (asked, call) => {
        asked.stamp(asked.right);
        call.write(Buffer.from("before"));
        call.write(row);
        call.write(Buffer.from("after"));
        call.end();
      };
      const seen: Uint8Array[] = [];
      for await (const one of (await rows()).messages) seen.push(one);
      expect(seen.map((one) => one.length)).toEqual([6, row.length, 5]);
      expect(row.equals(seen[1]!)).toBe(true);
    });

    test("a stream that breaks is broken, not short", async () => {
      service.onRows = (asked, call) => {
        asked.stamp(asked.right);
        call.write(Buffer.from("one"));
        call.emit("error", { code: 14, details: "broken" });
      };
      const stream = await rows();
      const fault = await faultOf(
        (async () => {
          for await (const _row of stream.messages);
        })(),
      );
      expect(fault.id).toBe("shard-unavailable");
    });

    test("a reader that stops early stops the service", async () => {
      service.onRows = (asked, call) => {
        asked.stamp(asked.right);
        call.write(Buffer.from("one"));
      };
      for await (const _row of (await rows()).messages) break;
      await until(() => service.asked[0]?.cancelled === true, "the service hears of it");
    });

    test("a reader that does not read holds the service back, and no other call", async () => {
      const row = Buffer.alloc(16 * 1024);
      const ROW_COUNT = 4_000;
      let written = 0;
      service.onRows = (asked, call) => {
        asked.stamp(asked.right);
        void writeAll(call, row, ROW_COUNT, () => written++);
      };
      const stream = await rows();
      let last = -1;
      // It stands still once nothing more is written while other calls come and go.
      while (written > last) {
        last = written;
        for (let i = 0; i < 20; i++) expect((await ask()).message.length).toBe(5);
      }
      expect(written).toBeLessThan(ROW_COUNT / 2);
      let read = 0;
      for await (const one of stream.messages) read += one.length;
      expect(read).toBe(ROW_COUNT * row.length);
    });

    test("a service that restarts is found again", async () => {
      await ask();
      const under = faultOf(
        (() => {
          service.onUnary = () => {};
          return ask();
        })(),
      );
      await until(() => service.asked.length === 2, "a call is under way");
      service.stop();
      expect((await under).id).toBe("shard-unavailable");
      expect((await faultOf(ask())).id).toBe("shard-unavailable");
      await service.start();
      service.onUnary = (asked, reply) => {
        asked.stamp(asked.right);
        reply(null, Buffer.from("back"));
      };
      const end = Date.now() + 20_000;
      for (;;) {
        try {
          expect(Buffer.from((await ask()).message).toString()).toBe("back");
          break;
        } catch (error) {
          expect((error as Fault).id).toBe("shard-unavailable");
          if (Date.now() > end) throw error;
          await new Promise((resolve) => setTimeout(resolve, 10));
        }
      }
    });

    test("connections to addresses that are no longer kept end with their calls", async () => {
      transport.keep(new Set([service.address]));
      const replies: (() => void)[] = [];
      service.onUnary = (asked, reply) => {
        asked.stamp(asked.right);
        replies.push(() => reply(null, Buffer.from("late")));
      };
      const late = ask();
      await until(() => replies.length === 1, "the call is under way");
      transport.keep(new Set(["127.0.0.1:1"]));
      expect(service.connections).toBeGreaterThan(0);
      // A query of the former table may still ask.
      const later = ask();
      await until(() => replies.length === 2, "the second call is under way");
      for (const reply of replies) reply();
      expect(Buffer.from((await late).message).toString()).toBe("late");
      expect(Buffer.from((await later).message).toString()).toBe("late");
      await until(() => service.connections === 0, "the connections are closed");
    });

    test("closing leaves nothing open", async () => {
      await Promise.all([ask(), rows(), ask({ request: Buffer.alloc(100_000) })]);
      transport.close();
      await until(() => service.connections === 0, "the connections are closed");
    });
  });
}

async function writeAll(
  call: ServerWritableStream<Buffer, Buffer>,
  row: Buffer,
  count: number,
  wrote: () => void,
): Promise<void> {
  for (let i = 0; i < count; i++) {
    if (!call.write(row)) await new Promise((resolve) => call.once("drain", resolve));
    wrote();
  }
  call.end();
}
