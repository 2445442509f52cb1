import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Fault } from "../../../src/fault/fault.ts";
import { AnswerFrameReader, graceMs } from "../../../src/wire/converse/answer-frame.ts";
import { AnswerFrameWriter } from "../../../src/wire/converse/answer-frame-writer.ts";
import { CallFrameReader, CallFrameWriter } from "../../../src/wire/converse/call-frame.ts";
import { FRAME_BYTES_MAX, REQUEST_BYTES_MAX } from "../../../src/wire/converse/limits.ts";
import { encodeStamp, readStamp } from "../../../src/wire/converse/packed-stamp.ts";
import { BEYOND_SAFE } from "../../../src/wire/converse/wire-reader.ts";
import {
  ConverseRequestSchema,
  ConverseResponseSchema,
  PartialFormat,
} from "../../../src/wire/generated/skynetes/v1/shard_pb.ts";
import { StampSchema, TopBoundsSchema } from "../../../src/wire/generated/skynetes/v1/stamp_pb.ts";
import {
  comparableRequest,
  comparableResponse,
  fieldsOf,
  int32s,
  plainRequest,
  plainResponse,
  requests,
  responses,
  shuffled,
  stamps,
  texts,
  uint32s,
  unknownFields,
} from "./frame-shapes.ts";

/** What both read; or that both refuse. */
function bothReadRequest(bytes: Uint8Array): void {
  expect(comparableRequest(new CallFrameReader().read(bytes))).toEqual(
    plainRequest(fromBinary(ConverseRequestSchema, bytes)),
  );
}

function bothReadResponse(bytes: Uint8Array): void {
  const message = fromBinary(ConverseResponseSchema, bytes);
  const frame = new AnswerFrameReader().read(bytes);
  expect(comparableResponse(frame)).toEqual(plainResponse(message));
  frame.fragments.forEach(({ bounds }, i) => {
    if (bounds !== undefined) expect(fromBinary(TopBoundsSchema, bounds)).toEqual(message.fragments[i]?.bounds);
  });
}

const encodeRequest = (init: MessageInitShape<typeof ConverseRequestSchema>) =>
  toBinary(ConverseRequestSchema, create(ConverseRequestSchema, init));
const encodeResponse = (init: MessageInitShape<typeof ConverseResponseSchema>) =>
  toBinary(ConverseResponseSchema, create(ConverseResponseSchema, init));

/** Some frames written one after the other, which is one frame; its fields, and those of its `messages`, mixed. */
function mixed<T>(frames: fc.Arbitrary<T>, encode: (frame: T) => Uint8Array, messages: readonly number[]) {
  return fc
    .tuple(
      fc.array(frames, { minLength: 1, maxLength: 3 }),
      fc.array(unknownFields, { maxLength: 3 }),
      fc.infiniteStream(fc.nat(9999)),
    )
    .map(([inits, extra, dice]) => {
      const choice = () => (dice.next().value as number) / 10_000;
      const fields = fieldsOf(Buffer.concat(inits.map(encode))).map((field) =>
        messages.includes(field.no)
          ? new BinaryWriter()
              .tag(field.no, WireType.LengthDelimited)
              .bytes(shuffled(field.body, extra, choice))
              .finish()
          : field.data,
      );
      return shuffled(Buffer.concat(fields), extra, choice);
    });
}

describe("frames are read as the generated schemas read them", () => {
  test("of gateways", () => {
    fc.assert(fc.property(requests, (init) => bothReadRequest(encodeRequest(init))));
  });

  test("of services", () => {
    fc.assert(fc.property(responses, (init) => bothReadResponse(encodeResponse(init))));
  });

  test("whatever the order of fields, however often they come, with unknown ones between, at both levels", () => {
    fc.assert(fc.property(mixed(requests, encodeRequest, [1, 3, 4]), bothReadRequest));
    fc.assert(fc.property(mixed(responses, encodeResponse, [1, 2, 3, 4]), bothReadResponse));
  });

  test("embedded messages that come twice are merged, scalars of the last one win", () => {
    const half = (stamp: object) => toBinary(StampSchema, create(StampSchema, stamp));
    const fragment = new BinaryWriter();
    const put = (no: number, bytes: Uint8Array) => fragment.tag(no, WireType.LengthDelimited).bytes(bytes);
    put(3, half({ shard: 1, snapshot: "a" }));
    put(2, Buffer.from("first"));
    put(3, half({ snapshot: "b", stateDigest: "d" }));
    put(2, Buffer.from("second"));
    const frame = new BinaryWriter().tag(2, WireType.LengthDelimited).bytes(fragment.finish()).finish();
    bothReadResponse(frame);
    const [read] = new AnswerFrameReader().read(frame).fragments;
    expect(Buffer.from(read?.data ?? []).toString()).toBe("second");
    expect(readStamp(read?.stamp as Buffer)).toEqual({ shard: 1, snapshot: "b", stateDigest: "d", serviceVersion: "" });
  });

  test("cancelled ids are read packed and one by one", () => {
    const bytes = new BinaryWriter()
      .tag(2, WireType.LengthDelimited)
      .bytes(Uint8Array.of(1, 0x80, 1))
      .tag(2, WireType.Varint)
      .uint64(7)
      .finish();
    expect(new CallFrameReader().read(bytes).cancelled).toEqual([1, 128, 7]);
    bothReadRequest(bytes);
  });

  test("a known field of another wire type is unknown", () => {
    const bytes = new BinaryWriter().tag(4, WireType.Varint).uint64(7).tag(1, WireType.Bit32).fixed32(1).finish();
    expect(new CallFrameReader().read(bytes)).toEqual({ calls: [], cancelled: [], credits: [], heartbeat: undefined });
  });

  test("ids are told apart up to 2^53 - 1, and what is beyond is seen to be", () => {
    for (const id of [2n ** 53n - 1n, 2n ** 53n, 2n ** 64n - 1n]) {
      const bytes = toBinary(ConverseRequestSchema, create(ConverseRequestSchema, { cancelled: [id] }));
      expect(new CallFrameReader().read(bytes).cancelled).toEqual([id < 2n ** 53n ? Number(id) : BEYOND_SAFE]);
    }
  });

  test("a negative grace is none", () => {
    const bytes = toBinary(
      ConverseResponseSchema,
      create(ConverseResponseSchema, { drain: { grace: { seconds: -5n, nanos: -1 } } }),
    );
    const { drain } = new AnswerFrameReader().read(bytes);
    expect(drain && graceMs(drain)).toBe(0);
    expect(graceMs({ seconds: 2, nanos: 999_999 })).toBe(2000);
  });
});

describe("frames that are written are read by the generated schemas", () => {
  const ids = fc.oneof(fc.nat(), fc.maxSafeNat());
  const calls = fc.record({
    id: ids,
    shard: int32s,
    snapshot: texts,
    method: texts,
    remainingUs: ids,
    request: fc.uint8Array({ maxLength: 300 }),
    traceparent: texts,
    accept: int32s as fc.Arbitrary<PartialFormat>,
  });

  test("of gateways", () => {
    const frames = fc.record({
      calls: fc.array(calls, { maxLength: 5 }),
      cancelled: fc.array(ids, { maxLength: 5 }),
      credits: fc.array(fc.record({ id: ids, bytes: uint32s }), { maxLength: 5 }),
      heartbeat: fc.option(ids, { nil: undefined }),
    });
    // One writer for all: what a frame leaves behind would be seen in the next.
    const writer = new CallFrameWriter();
    fc.assert(
      fc.property(frames, (frame) => {
        for (const call of frame.calls) writer.call(call);
        for (const id of frame.cancelled) writer.cancel(id);
        for (const { id, bytes } of frame.credits) writer.credit(id, bytes);
        if (frame.heartbeat !== undefined) writer.heartbeat(frame.heartbeat);
        const bytes = writer.take();
        const expected = {
          ...frame,
          calls: frame.calls.map((call) => ({ ...call, request: Buffer.from(call.request).toString("hex") })),
        };
        expect(plainRequest(fromBinary(ConverseRequestSchema, bytes))).toEqual(expected);
        expect(comparableRequest(new CallFrameReader().read(bytes))).toEqual(expected);
      }),
    );
  });

  test("of services", () => {
    const fragments = fc.record({
      head: fc.record({
        id: ids,
        stamp: fc.option(stamps, { nil: undefined }),
        format: int32s as fc.Arbitrary<PartialFormat>,
        messageEnd: fc.boolean(),
        status: fc.option(fc.record({ code: int32s, message: texts, fault: texts, retryAfterMs: uint32s }), {
          nil: undefined,
        }),
        bounds: fc.option(
          fc.constant(toBinary(TopBoundsSchema, create(TopBoundsSchema, { field: "flights", exhausted: true }))),
          { nil: undefined },
        ),
        timing: fc.option(fc.record({ queueUs: ids, serviceUs: ids }), { nil: undefined }),
        partialBytes: ids,
      }),
      data: fc.uint8Array({ maxLength: 300 }),
      from: fc.nat(300),
      to: fc.nat(300),
    });
    const frames = fc.record({
      hello: fc.option(fc.record({ pod: texts, instance: texts, bound: fc.array(stamps, { maxLength: 3 }) }), {
        nil: undefined,
      }),
      fragments: fc.array(fragments, { maxLength: 5 }),
      heartbeat: fc.option(ids, { nil: undefined }),
      drainMs: fc.option(fc.nat(), { nil: undefined }),
    });
    const writer = new AnswerFrameWriter();
    fc.assert(
      fc.property(frames, ({ hello, fragments: pieces, heartbeat, drainMs }) => {
        if (hello !== undefined) writer.hello(hello.pod, hello.instance, hello.bound.map(encodeStamp));
        const expected = pieces.map(({ head, data, from, to }) => {
          const [begin, end] = [Math.min(from, to, data.length), Math.min(Math.max(from, to), data.length)];
          const { stamp, bounds, ...rest } = head;
          writer.fragment({ ...head, stamp: stamp && encodeStamp(stamp) }, data, begin, end);
          const part = Buffer.from(data.subarray(begin, end)).toString("hex");
          return { ...rest, data: part, stamp, hasBounds: bounds !== undefined };
        });
        if (heartbeat !== undefined) writer.heartbeat(heartbeat);
        if (drainMs !== undefined) writer.drain(drainMs);
        const bytes = writer.take();
        const message = fromBinary(ConverseResponseSchema, bytes);
        expect(plainResponse(message)).toMatchObject({ hello, fragments: expected, heartbeat });
        expect(comparableResponse(new AnswerFrameReader().read(bytes))).toEqual(plainResponse(message));
        const { drain } = new AnswerFrameReader().read(bytes);
        expect(drain && graceMs(drain)).toBe(drainMs);
      }),
    );
  });

  test("a stamp is encoded as the generated schema does, so that equal bytes are the usual case", () => {
    fc.assert(
      fc.property(stamps, (stamp) => {
        expect(encodeStamp(stamp)).toEqual(Buffer.from(toBinary(StampSchema, create(StampSchema, stamp))));
        expect(readStamp(encodeStamp(stamp))).toEqual(stamp);
      }),
    );
    expect(readStamp(Buffer.from([0x0a]))).toBeUndefined();
  });
});

describe("frames are never too large", () => {
  const call = {
    id: 1,
    shard: 0,
    snapshot: "s1",
    method: "/flights.v1.DelayService/Summarize",
    remainingUs: 1_000_000,
    request: Buffer.alloc(REQUEST_BYTES_MAX),
    traceparent: `00-${"1".repeat(32)}-${"2".repeat(16)}-01`,
    accept: PartialFormat.UNSPECIFIED,
  };

  test("what does not fit is refused whole, and fits in the next", () => {
    const writer = new CallFrameWriter();
    expect([writer.call(call), writer.call(call)]).toEqual([true, false]);
    // Smaller things fill the rest to the last byte.
    while (writer.cancel(5));
    const frame = writer.take();
    expect(frame.length).toBeGreaterThan(FRAME_BYTES_MAX - 2);
    expect(frame.length).toBeLessThanOrEqual(FRAME_BYTES_MAX);
    expect(new CallFrameReader().read(frame).calls).toHaveLength(1);
    expect(writer.isEmpty).toBe(true);
    expect(writer.call(call)).toBe(true);
  });

  test("the room that a head leaves for data is there, and a byte more is not", () => {
    const head = { id: 300, stamp: encodeStamp({ shard: 1, snapshot: "s", stateDigest: "d", serviceVersion: "v" }) };
    const rest = {
      format: 0 as PartialFormat,
      messageEnd: true,
      status: undefined,
      bounds: undefined,
      timing: undefined,
      partialBytes: 300_000,
    };
    const full = { ...head, ...rest };
    fc.assert(
      fc.property(fc.nat(FRAME_BYTES_MAX - 1000), (before) => {
        const writer = new AnswerFrameWriter();
        const data = Buffer.alloc(FRAME_BYTES_MAX);
        writer.fragment({ ...full, id: 1, stamp: undefined }, data, 0, before);
        const room = writer.dataRoom(full);
        expect(writer.fragment(full, data, 0, room)).toBe(true);
        expect(writer.take().length).toBeGreaterThan(FRAME_BYTES_MAX - 8);
      }),
    );
  });

  test("a hello names the stamps that fit", () => {
    const writer = new AnswerFrameWriter();
    const stamp = { shard: 1, snapshot: "s".repeat(63), stateDigest: "d".repeat(64), serviceVersion: "v".repeat(40) };
    expect(writer.hello("pod", "instance", new Array(1000).fill(encodeStamp(stamp)))).toBe(true);
    const frame = writer.take();
    expect(frame.length).toBeLessThanOrEqual(FRAME_BYTES_MAX);
    const { hello } = new AnswerFrameReader().read(frame);
    expect(hello?.bound.length).toBeGreaterThan(300);
    expect(hello?.bound.at(-1)).toEqual(stamp);
  });
});

describe("bytes that are no frame", () => {
  const faultOf = (read: () => unknown): string | undefined => {
    try {
      read();
      return undefined;
    } catch (error) {
      if (error instanceof Fault) return error.id;
      throw error;
    }
  };

  test("any bytes are a frame or a fault", () => {
    const isRead = (bytes: Uint8Array) => {
      expect(["malformed-request", undefined]).toContain(faultOf(() => new CallFrameReader().read(bytes)));
      expect(["bad-partial", undefined]).toContain(faultOf(() => new AnswerFrameReader().read(bytes)));
    };
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), isRead));
    const cut = fc.tuple(
      fc.oneof(requests.map(encodeRequest), responses.map(encodeResponse)),
      fc.double({ min: 0, max: 1, noNaN: true }),
    );
    fc.assert(fc.property(cut, ([bytes, part]) => isRead(bytes.subarray(0, Math.floor(bytes.length * part)))));
    const flipped = fc.tuple(cut, fc.nat(255)).map(([[bytes, at], byte]) => {
      const changed = Uint8Array.from(bytes);
      if (changed.length > 0) changed[Math.floor((changed.length - 1) * at)] = byte;
      return changed;
    });
    fc.assert(fc.property(flipped, isRead));
  });

  test.each<[string, readonly number[]]>([
    ["a tag that ends", [0x80]],
    ["field number zero", [0x00, 0x00]],
    ["a tag beyond 32 bits", [0xff, 0xff, 0xff, 0xff, 0x7f, 0x00]],
    ["wire type 6", [0x0e]],
    ["wire type 7", [0x0f]],
    ["a number of eleven bytes", [0x10, ...new Array(10).fill(0xff), 0x01]],
    ["a length beyond the end", [0x0a, 0x05, 0x08]],
    ["a length beyond 2^53", [0x0a, ...new Array(9).fill(0xff), 0x01]],
    ["an embedded length beyond its message", [0x0a, 0x02, 0x1a, 0x05, 0, 0, 0, 0, 0]],
    ["a number beyond its message", [0x0a, 0x02, 0x08, 0x80, 0x01]],
    ["eight bytes that are not there", [0xa1, 0x06, 0, 0]],
    ["four bytes that are not there", [0xa5, 0x06, 0, 0]],
    ["a group that never ends", [0xa3, 0x06, 0x08, 0x01]],
    ["a group that ends as another", [0xa3, 0x06, 0xac, 0x06]],
    ["a group that did not begin", [0xa4, 0x06]],
    ["groups within groups", new Array(200).fill([0xa3, 0x06]).flat()],
    ["text that is not UTF-8", [0x0a, 0x04, 0x1a, 0x02, 0xc3, 0x28]],
  ])("%s", (_name, bytes) => {
    expect(faultOf(() => new CallFrameReader().read(Buffer.from(bytes)))).toBe("malformed-request");
  });

  test("a text that is repeated is found only by all of its bytes", () => {
    const reader = new CallFrameReader();
    const methodOf = (method: string) => {
      const { calls } = reader.read(encodeRequest({ calls: [{ method }] }));
      return calls[0]?.method;
    };
    const near = fc.tuple(fc.constantFrom("a", "b", "ab", "ba", "é"), fc.integer({ min: 0, max: 6 }));
    fc.assert(
      fc.property(fc.array(near), (parts) => {
        const method = parts.map(([text, times]) => text.repeat(times)).join("");
        expect(methodOf(method)).toBe(method);
        expect(methodOf(method)).toBe(method);
      }),
    );
  });
});
