import type { PartialFormat } from "../generated/skynetes/v1/shard_pb.ts";
import { EncodedText, RepeatedText } from "./repeated-text.ts";
import { WireReader } from "./wire-reader.ts";
import { bytesSize, int32Size, messageSize, numberSize, varintSize, WireWriter } from "./wire-writer.ts";

/** A frame of the gateway: ConverseRequest as plain values. */
export interface CallFrame {
  readonly calls: readonly PackedCall[];
  readonly cancelled: readonly number[];
  readonly credits: readonly CreditGrant[];
  /** Its sequence; undefined: none in this frame. */
  readonly heartbeat: number | undefined;
}

/** ShardCall. Numbers of 64 bits are exact up to 2^53 - 1; greater ones are read as 2^53. */
export interface PackedCall {
  readonly id: number;
  readonly shard: number;
  readonly snapshot: string;
  /** `/package.Service/Method`. */
  readonly method: string;
  readonly remainingUs: number;
  readonly request: Uint8Array;
  /** Empty: not traced. */
  readonly traceparent: string;
  readonly accept: PartialFormat;
}

export interface CreditGrant {
  readonly id: number;
  readonly bytes: number;
}

const FRAME_TAG = { call: 0x0a, cancelled: 0x10, cancelledPacked: 0x12, credit: 0x1a, heartbeat: 0x22 };
const CALL_TAG = {
  id: 0x08,
  shard: 0x10,
  snapshot: 0x1a,
  method: 0x22,
  remainingUs: 0x28,
  request: 0x32,
  traceparent: 0x3a,
  accept: 0x40,
};
const CREDIT_TAG = { id: 0x08, bytes: 0x10 };
export const HEARTBEAT_TAG = { sequence: 0x08 };

const EMPTY = Buffer.alloc(0);

/** Decodes the frames of one stream: what they repeat is made once. */
export class CallFrameReader {
  readonly #texts = new RepeatedText();

  /** `request` of the calls are views of `bytes`. Fault `malformed-request`: it is not a ConverseRequest. */
  read(bytes: Uint8Array): CallFrame {
    const reader = new WireReader(bytes, "malformed-request");
    const calls: PackedCall[] = [];
    const cancelled: number[] = [];
    const credits: CreditGrant[] = [];
    let heartbeat: number | undefined;
    while (reader.more) {
      const tag = reader.tag();
      if (tag === FRAME_TAG.call) calls.push(this.#call(reader));
      else if (tag === FRAME_TAG.credit) credits.push(creditOf(reader));
      else if (tag === FRAME_TAG.cancelled) cancelled.push(reader.uint64());
      else if (tag === FRAME_TAG.cancelledPacked) {
        const outer = reader.enter();
        while (reader.more) cancelled.push(reader.uint64());
        reader.leave(outer);
      } else if (tag === FRAME_TAG.heartbeat) heartbeat = heartbeatOf(reader, heartbeat);
      else reader.skip(tag);
    }
    return { calls, cancelled, credits, heartbeat };
  }

  #call(reader: WireReader): PackedCall {
    const call = {
      id: 0,
      shard: 0,
      snapshot: "",
      method: "",
      remainingUs: 0,
      request: EMPTY,
      traceparent: "",
      accept: 0 as PartialFormat,
    };
    const outer = reader.enter();
    while (reader.more) {
      const tag = reader.tag();
      if (tag === CALL_TAG.id) call.id = reader.uint64();
      else if (tag === CALL_TAG.shard) call.shard = reader.int32();
      else if (tag === CALL_TAG.snapshot) call.snapshot = reader.text(this.#texts);
      else if (tag === CALL_TAG.method) call.method = reader.text(this.#texts);
      else if (tag === CALL_TAG.remainingUs) call.remainingUs = reader.uint64();
      else if (tag === CALL_TAG.request) call.request = reader.bytes() as typeof EMPTY;
      else if (tag === CALL_TAG.traceparent) call.traceparent = reader.text();
      else if (tag === CALL_TAG.accept) call.accept = reader.int32() as PartialFormat;
      else reader.skip(tag);
    }
    reader.leave(outer);
    return call;
  }
}

function creditOf(reader: WireReader): CreditGrant {
  const credit = { id: 0, bytes: 0 };
  const outer = reader.enter();
  while (reader.more) {
    const tag = reader.tag();
    if (tag === CREDIT_TAG.id) credit.id = reader.uint64();
    else if (tag === CREDIT_TAG.bytes) credit.bytes = reader.uint32();
    else reader.skip(tag);
  }
  reader.leave(outer);
  return credit;
}

/** A heartbeat that comes twice in a frame is one, merged as protobuf merges messages. */
export function heartbeatOf(reader: WireReader, before: number | undefined): number {
  let sequence = before ?? 0;
  const outer = reader.enter();
  while (reader.more) {
    const tag = reader.tag();
    if (tag === HEARTBEAT_TAG.sequence) sequence = reader.uint64();
    else reader.skip(tag);
  }
  reader.leave(outer);
  return sequence;
}

/**
 * Packs a gateway's frames. Each method returns false, and writes nothing, when the frame has no room for it: `take` it
 * and begin the next. A call whose request has at most `REQUEST_BYTES_MAX` bytes always fits in an empty frame.
 */
export class CallFrameWriter {
  readonly #out = new WireWriter();
  readonly #texts = new EncodedText();

  get isEmpty(): boolean {
    return this.#out.size === 0;
  }

  call(call: PackedCall): boolean {
    const out = this.#out;
    const snapshot = this.#texts.of(call.snapshot);
    const method = this.#texts.of(call.method);
    const traceparent = call.traceparent === "" ? EMPTY : Buffer.from(call.traceparent, "utf8");
    const size =
      numberSize(call.id) +
      int32Size(call.shard) +
      bytesSize(snapshot.length) +
      bytesSize(method.length) +
      numberSize(call.remainingUs) +
      bytesSize(call.request.length) +
      bytesSize(traceparent.length) +
      int32Size(call.accept);
    if (!out.reserve(messageSize(size))) return false;
    out.message(FRAME_TAG.call, size);
    out.number(CALL_TAG.id, call.id);
    out.int32(CALL_TAG.shard, call.shard);
    out.bytes(CALL_TAG.snapshot, snapshot);
    out.bytes(CALL_TAG.method, method);
    out.number(CALL_TAG.remainingUs, call.remainingUs);
    out.bytes(CALL_TAG.request, call.request);
    out.bytes(CALL_TAG.traceparent, traceparent);
    out.int32(CALL_TAG.accept, call.accept);
    return true;
  }

  cancel(id: number): boolean {
    if (!this.#out.reserve(1 + varintSize(id))) return false;
    this.#out.element(FRAME_TAG.cancelled, id);
    return true;
  }

  credit(id: number, bytes: number): boolean {
    const size = numberSize(id) + numberSize(bytes);
    if (!this.#out.reserve(messageSize(size))) return false;
    this.#out.message(FRAME_TAG.credit, size);
    this.#out.number(CREDIT_TAG.id, id);
    this.#out.number(CREDIT_TAG.bytes, bytes);
    return true;
  }

  heartbeat(sequence: number): boolean {
    const size = numberSize(sequence);
    if (!this.#out.reserve(messageSize(size))) return false;
    this.#out.message(FRAME_TAG.heartbeat, size);
    this.#out.number(HEARTBEAT_TAG.sequence, sequence);
    return true;
  }

  /** The frame; the next thing written begins another. */
  take(): Buffer {
    return this.#out.take();
  }
}
