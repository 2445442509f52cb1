import type { PartialFormat } from "../generated/skynetes/v1/shard_pb.ts";
import type { RepeatedText } from "./repeated-text.ts";
import type { WireReader } from "./wire-reader.ts";

/** ShardFragment as plain values. `data`, `stamp` and `bounds` are views of the frame. */
export interface Fragment {
  readonly id: number;
  readonly data: Uint8Array;
  /** A Stamp as sent, not yet read: `encodeStamp(expected).equals(stamp)`, then `readStamp`. */
  readonly stamp: Buffer | undefined;
  readonly status: FragmentStatus | undefined;
  /** A TopBounds as sent. */
  readonly bounds: Buffer | undefined;
  readonly messageEnd: boolean;
  readonly format: PartialFormat;
  readonly timing: FragmentTiming | undefined;
  /** Of data in all fragments of the partial; 0: not told. */
  readonly partialBytes: number;
}

export interface FragmentStatus {
  /** Of gRPC. */
  readonly code: number;
  readonly message: string;
  /** Empty: not a fault of the catalogue. */
  readonly fault: string;
  /** 0: no advice. */
  readonly retryAfterMs: number;
}

export interface FragmentTiming {
  readonly queueUs: number;
  readonly serviceUs: number;
}

export const FRAGMENT_TAG = {
  id: 0x08,
  data: 0x12,
  stamp: 0x1a,
  status: 0x22,
  bounds: 0x2a,
  messageEnd: 0x30,
  format: 0x38,
  timing: 0x42,
  partialBytes: 0x48,
};
export const STATUS_TAG = { code: 0x08, message: 0x12, fault: 0x1a, retryAfterMs: 0x20 };
export const TIMING_TAG = { queueUs: 0x08, serviceUs: 0x10 };

const EMPTY: Uint8Array = Buffer.alloc(0);

export function fragmentOf(reader: WireReader, texts: RepeatedText): Fragment {
  const fragment = {
    id: 0,
    data: EMPTY,
    stamp: undefined as Buffer | undefined,
    status: undefined as FragmentStatus | undefined,
    bounds: undefined as Buffer | undefined,
    messageEnd: false,
    format: 0 as PartialFormat,
    timing: undefined as FragmentTiming | undefined,
    partialBytes: 0,
  };
  const outer = reader.enter();
  while (reader.more) {
    const tag = reader.tag();
    if (tag === FRAGMENT_TAG.id) fragment.id = reader.uint64();
    else if (tag === FRAGMENT_TAG.data) fragment.data = reader.bytes();
    else if (tag === FRAGMENT_TAG.stamp) fragment.stamp = merged(fragment.stamp, reader.bytes());
    else if (tag === FRAGMENT_TAG.status) fragment.status = statusOf(reader, texts, fragment.status);
    else if (tag === FRAGMENT_TAG.bounds) fragment.bounds = merged(fragment.bounds, reader.bytes());
    else if (tag === FRAGMENT_TAG.messageEnd) fragment.messageEnd = reader.bool();
    else if (tag === FRAGMENT_TAG.format) fragment.format = reader.int32() as PartialFormat;
    else if (tag === FRAGMENT_TAG.timing) fragment.timing = timingOf(reader, fragment.timing);
    else if (tag === FRAGMENT_TAG.partialBytes) fragment.partialBytes = reader.uint64();
    else reader.skip(tag);
  }
  reader.leave(outer);
  return fragment;
}

/** Protobuf merges a message that comes twice as if its parts had been written one after the other. */
function merged(before: Buffer | undefined, bytes: Buffer): Buffer {
  return before === undefined ? bytes : Buffer.concat([before, bytes]);
}

function statusOf(reader: WireReader, texts: RepeatedText, before: FragmentStatus | undefined): FragmentStatus {
  const status = {
    code: before?.code ?? 0,
    message: before?.message ?? "",
    fault: before?.fault ?? "",
    retryAfterMs: before?.retryAfterMs ?? 0,
  };
  const outer = reader.enter();
  while (reader.more) {
    const tag = reader.tag();
    if (tag === STATUS_TAG.code) status.code = reader.int32();
    else if (tag === STATUS_TAG.message) status.message = reader.text();
    else if (tag === STATUS_TAG.fault) status.fault = reader.text(texts);
    else if (tag === STATUS_TAG.retryAfterMs) status.retryAfterMs = reader.uint32();
    else reader.skip(tag);
  }
  reader.leave(outer);
  return status;
}

function timingOf(reader: WireReader, before: FragmentTiming | undefined): FragmentTiming {
  const timing = { queueUs: before?.queueUs ?? 0, serviceUs: before?.serviceUs ?? 0 };
  const outer = reader.enter();
  while (reader.more) {
    const tag = reader.tag();
    if (tag === TIMING_TAG.queueUs) timing.queueUs = reader.uint64();
    else if (tag === TIMING_TAG.serviceUs) timing.serviceUs = reader.uint64();
    else reader.skip(tag);
  }
  reader.leave(outer);
  return timing;
}
