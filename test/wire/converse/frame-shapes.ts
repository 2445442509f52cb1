import type { MessageInitShape } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import fc from "fast-check";
import type { Stamp } from "../../../src/mesh/stamp.ts";
import type { AnswerFrame } from "../../../src/wire/converse/answer-frame.ts";
import type { CallFrame } from "../../../src/wire/converse/call-frame.ts";
import { readStamp } from "../../../src/wire/converse/packed-stamp.ts";
import { BEYOND_SAFE } from "../../../src/wire/converse/wire-reader.ts";
import type {
  ConverseRequest,
  ConverseRequestSchema,
  ConverseResponse,
  ConverseResponseSchema,
} from "../../../src/wire/generated/skynetes/v1/shard_pb.ts";

/** Numbers of a field of 64 bits, those at the edges of a varint's bytes and of 2^53 often. */
export const uint64s = fc.oneof(
  fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  fc.nat().map(BigInt),
  fc.integer({ min: 0, max: 63 }).chain((bit) => fc.bigInt({ min: 2n ** BigInt(bit) - 1n, max: 2n ** BigInt(bit) })),
);
export const int32s = fc.oneof(fc.integer(), fc.integer({ min: -3, max: 3 }), fc.constantFrom(-(2 ** 31), 2 ** 31 - 1));
export const uint32s = fc.integer({ min: 0, max: 2 ** 32 - 1 });
export const texts = fc.oneof(
  fc.string({ unit: "binary", maxLength: 40 }),
  fc.constantFrom("", "s1", "/a.B/C", "é".repeat(200)),
);
const someBytes = fc.uint8Array({ maxLength: 300 });

export const stamps = fc.record({ shard: int32s, snapshot: texts, stateDigest: texts, serviceVersion: texts });
const scalars = fc.oneof(
  fc.record({ case: fc.constant("integer" as const), value: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }) }),
  fc.record({ case: fc.constant("unsigned" as const), value: uint64s }),
  fc.record({ case: fc.constant("real" as const), value: fc.double({ noNaN: true }) }),
  fc.record({ case: fc.constant("decimal" as const), value: texts }),
);
const bounds = fc.record({
  field: texts,
  kth: fc.option(fc.record({ value: scalars }), { nil: undefined }),
  exhausted: fc.boolean(),
  groups: fc.bigInt({ min: 0n, max: 2n ** 63n - 1n }),
});
const maybe = <T>(of: fc.Arbitrary<T>) => fc.option(of, { nil: undefined });
const heartbeat = maybe(fc.record({ sequence: uint64s }));

export const requests = fc.record({
  calls: fc.array(
    fc.record({
      id: uint64s,
      shard: int32s,
      snapshot: texts,
      method: texts,
      remainingUs: uint64s,
      request: someBytes,
      traceparent: texts,
      accept: int32s,
    }),
    { maxLength: 5 },
  ),
  cancelled: fc.array(uint64s, { maxLength: 5 }),
  credits: fc.array(fc.record({ id: uint64s, bytes: uint32s }), { maxLength: 5 }),
  heartbeat,
}) as fc.Arbitrary<MessageInitShape<typeof ConverseRequestSchema>>;

export const responses = fc.record({
  hello: maybe(fc.record({ pod: texts, instance: texts, bound: fc.array(stamps, { maxLength: 3 }) })),
  fragments: fc.array(
    fc.record({
      id: uint64s,
      data: someBytes,
      stamp: maybe(stamps),
      status: maybe(fc.record({ code: int32s, message: texts, fault: texts, retryAfterMs: uint32s })),
      bounds: maybe(bounds),
      messageEnd: fc.boolean(),
      format: int32s,
      timing: maybe(fc.record({ queueUs: uint64s, serviceUs: uint64s })),
      partialBytes: uint64s,
    }),
    { maxLength: 5 },
  ),
  heartbeat,
  drain: maybe(
    fc.record({
      grace: maybe(fc.record({ seconds: fc.bigInt({ min: 0n, max: 10n ** 9n }), nanos: fc.nat(999_999_999) })),
    }),
  ),
}) as fc.Arbitrary<MessageInitShape<typeof ConverseResponseSchema>>;

/** As the codec reads a number of 64 bits. */
function asNumber(value: bigint): number {
  return value > BigInt(Number.MAX_SAFE_INTEGER) ? BEYOND_SAFE : Number(value);
}

const bytesOf = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");

/** What the generated schema read, in the codec's shape and comparable. */
export function plainRequest(message: ConverseRequest) {
  return {
    calls: message.calls.map(({ $typeName: _, $unknown: __, ...call }) => ({
      ...call,
      id: asNumber(call.id),
      remainingUs: asNumber(call.remainingUs),
      request: bytesOf(call.request),
    })),
    cancelled: message.cancelled.map(asNumber),
    credits: message.credits.map(({ id, bytes }) => ({ id: asNumber(id), bytes })),
    heartbeat: message.heartbeat && asNumber(message.heartbeat.sequence),
  };
}

export function comparableRequest(frame: CallFrame) {
  return { ...frame, calls: frame.calls.map((call) => ({ ...call, request: bytesOf(call.request) })) };
}

export function plainResponse(message: ConverseResponse) {
  const { hello, drain } = message;
  return {
    hello: hello && {
      pod: hello.pod,
      instance: hello.instance,
      bound: hello.bound.map(plainStamp),
    },
    fragments: message.fragments.map((fragment) => ({
      id: asNumber(fragment.id),
      data: bytesOf(fragment.data),
      stamp: fragment.stamp && plainStamp(fragment.stamp),
      status: fragment.status && {
        code: fragment.status.code,
        message: fragment.status.message,
        fault: fragment.status.fault,
        retryAfterMs: fragment.status.retryAfterMs,
      },
      hasBounds: fragment.bounds !== undefined,
      messageEnd: fragment.messageEnd,
      format: fragment.format,
      timing: fragment.timing && {
        queueUs: asNumber(fragment.timing.queueUs),
        serviceUs: asNumber(fragment.timing.serviceUs),
      },
      partialBytes: asNumber(fragment.partialBytes),
    })),
    heartbeat: message.heartbeat && asNumber(message.heartbeat.sequence),
    drain: drain && { seconds: Number(drain.grace?.seconds ?? 0n), nanos: drain.grace?.nanos ?? 0 },
  };
}

export function comparableResponse(frame: AnswerFrame) {
  return {
    ...frame,
    fragments: frame.fragments.map(({ data, stamp, bounds: raw, ...rest }) => ({
      ...rest,
      data: bytesOf(data),
      stamp: stamp && readStamp(stamp),
      hasBounds: raw !== undefined,
    })),
  };
}

function plainStamp({ shard, snapshot, stateDigest, serviceVersion }: Stamp) {
  return { shard, snapshot, stateDigest, serviceVersion };
}

interface Field {
  readonly no: number;
  /** Tag and all. */
  readonly data: Uint8Array;
  /** Without its tag, and without its length where it has one. */
  readonly body: Uint8Array;
}

/** Fields that no version of the protocol has: all wire types, groups within groups too. */
export const unknownFields: fc.Arbitrary<Uint8Array> = fc
  .tuple(fc.integer({ min: 100, max: 2 ** 29 - 1 }), fc.constantFrom(0, 1, 2, 3, 5), someBytes, uint64s)
  .map(([no, wireType, bytes, number]) => {
    const writer = new BinaryWriter();
    writer.tag(no, wireType as WireType);
    if (wireType === 0) writer.uint64(number);
    if (wireType === 1) writer.fixed64(number);
    if (wireType === 2) writer.bytes(bytes);
    if (wireType === 5) writer.fixed32(Number(number & 0xffffffffn));
    if (wireType === 3) {
      writer.tag(7, WireType.StartGroup).tag(1, WireType.Varint).uint64(number).tag(7, WireType.EndGroup);
      writer.tag(1, WireType.LengthDelimited).bytes(bytes).tag(no, WireType.EndGroup);
    }
    return writer.finish();
  });

/**
 * The fields of a message one by one, in another order: fields of one number keep theirs, as protobuf demands where the
 * last one wins.
 */
export function shuffled(bytes: Uint8Array, extra: readonly Uint8Array[], choice: () => number): Uint8Array {
  const queues = new Map<number, Uint8Array[]>();
  for (const field of fieldsOf(bytes)) queues.set(field.no, [...(queues.get(field.no) ?? []), field.data]);
  extra.forEach((data, i) => void queues.set(-1 - i, [data]));
  const out: Uint8Array[] = [];
  while (queues.size > 0) {
    const keys = [...queues.keys()];
    const key = keys[Math.floor(choice() * keys.length)] as number;
    const queue = queues.get(key) as Uint8Array[];
    out.push(queue.shift() as Uint8Array);
    if (queue.length === 0) queues.delete(key);
  }
  return Buffer.concat(out);
}

/** Of messages that the generators above make, which have numbers and byte strings only. */
export function fieldsOf(bytes: Uint8Array): readonly Field[] {
  const fields: Field[] = [];
  const buffer = Buffer.from(bytes);
  let at = 0;
  const varint = () => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = buffer[at++] as number;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < buffer.length) {
    const from = at;
    const tag = Number(varint());
    const wireType = (tag & 7) as WireType;
    const length = wireType === WireType.LengthDelimited ? Number(varint()) : 0;
    const begin = at;
    if (wireType === WireType.Varint) varint();
    at += length;
    fields.push({ no: tag >>> 3, data: buffer.subarray(from, at), body: buffer.subarray(begin, at) });
  }
  return fields;
}
