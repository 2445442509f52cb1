import type { PartialFormat } from "../generated/skynetes/v1/shard_pb.ts";
import { ANSWER_FRAME_TAG, DRAIN_TAG, DURATION_TAG, HELLO_TAG } from "./answer-frame.ts";
import { HEARTBEAT_TAG } from "./call-frame.ts";
import { FRAGMENT_TAG, type FragmentStatus, type FragmentTiming, STATUS_TAG, TIMING_TAG } from "./fragment.ts";
import { EncodedText } from "./repeated-text.ts";
import { bytesSize, int32Size, messageSize, numberSize, WireWriter } from "./wire-writer.ts";

/** A service may be set to wait for as long as it takes. */
const GRACE_MS_MAX = 2 ** 31;

/** What a fragment carries besides data. */
export interface FragmentHead {
  readonly id: number;
  /** From `encodeStamp`; with the first fragment. */
  readonly stamp: Buffer | undefined;
  readonly format: PartialFormat;
  /** Of data in all fragments of the partial; 0: not told. */
  readonly partialBytes: number;
  readonly messageEnd: boolean;
  /** The rest comes with the last fragment. */
  readonly status: FragmentStatus | undefined;
  /** A TopBounds. */
  readonly bounds: Uint8Array | undefined;
  readonly timing: FragmentTiming | undefined;
}

/** Packs a service's frames. Each method returns false, and writes nothing, when the frame has no room for it. */
export class AnswerFrameWriter {
  readonly #out = new WireWriter();
  readonly #texts = new EncodedText();

  get isEmpty(): boolean {
    return this.#out.size === 0;
  }

  get size(): number {
    return this.#out.size;
  }

  /** Bytes of data that a fragment with this head may have in what is left of the frame; negative: not even the head fits. */
  dataRoom(head: FragmentHead): number {
    return this.#out.room - FRAGMENT_OVERHEAD - headSize(head);
  }

  /** `bound` are encoded stamps; those that do not fit in the frame are left out. */
  hello(pod: string, instance: string, bound: readonly Buffer[]): boolean {
    const out = this.#out;
    const podBytes = Buffer.from(pod);
    const instanceBytes = Buffer.from(instance);
    let size = bytesSize(podBytes.length) + bytesSize(instanceBytes.length);
    const fitting: Buffer[] = [];
    for (const stamp of bound) {
      if (messageSize(size + messageSize(stamp.length)) > out.room) break;
      size += messageSize(stamp.length);
      fitting.push(stamp);
    }
    if (!out.reserve(messageSize(size))) return false;
    out.message(ANSWER_FRAME_TAG.hello, size);
    out.bytes(HELLO_TAG.pod, podBytes);
    out.bytes(HELLO_TAG.instance, instanceBytes);
    for (const stamp of fitting) out.embedded(HELLO_TAG.bound, stamp);
    return true;
  }

  /** `data` from `from` up to `to`. */
  fragment(head: FragmentHead, data: Uint8Array, from: number, to: number): boolean {
    const out = this.#out;
    const size = headSize(head) + bytesSize(to - from);
    if (!out.reserve(messageSize(size))) return false;
    out.message(ANSWER_FRAME_TAG.fragment, size);
    out.number(FRAGMENT_TAG.id, head.id);
    out.bytes(FRAGMENT_TAG.data, data, from, to);
    if (head.stamp !== undefined) out.embedded(FRAGMENT_TAG.stamp, head.stamp);
    if (head.status !== undefined) this.#status(head.status);
    if (head.bounds !== undefined) out.embedded(FRAGMENT_TAG.bounds, head.bounds);
    out.number(FRAGMENT_TAG.messageEnd, head.messageEnd ? 1 : 0);
    out.int32(FRAGMENT_TAG.format, head.format);
    if (head.timing !== undefined) {
      out.message(FRAGMENT_TAG.timing, timingSize(head.timing));
      out.number(TIMING_TAG.queueUs, head.timing.queueUs);
      out.number(TIMING_TAG.serviceUs, head.timing.serviceUs);
    }
    out.number(FRAGMENT_TAG.partialBytes, head.partialBytes);
    return true;
  }

  heartbeat(sequence: number): boolean {
    const size = numberSize(sequence);
    if (!this.#out.reserve(messageSize(size))) return false;
    this.#out.message(ANSWER_FRAME_TAG.heartbeat, size);
    this.#out.number(HEARTBEAT_TAG.sequence, sequence);
    return true;
  }

  drain(graceMs: number): boolean {
    const ms = graceMs > 0 ? Math.min(GRACE_MS_MAX, graceMs) : 0;
    const seconds = Math.floor(ms / 1000);
    const nanos = Math.floor((ms % 1000) * 1e6);
    const grace = numberSize(seconds) + numberSize(nanos);
    if (!this.#out.reserve(messageSize(messageSize(grace)))) return false;
    this.#out.message(ANSWER_FRAME_TAG.drain, messageSize(grace));
    this.#out.message(DRAIN_TAG.grace, grace);
    this.#out.number(DURATION_TAG.seconds, seconds);
    this.#out.number(DURATION_TAG.nanos, nanos);
    return true;
  }

  /** The frame; the next thing written begins another. */
  take(): Buffer {
    return this.#out.take();
  }

  #status(status: FragmentStatus): void {
    const out = this.#out;
    const message = Buffer.from(status.message);
    const fault = this.#texts.of(status.fault);
    out.message(FRAGMENT_TAG.status, statusSize(status));
    out.int32(STATUS_TAG.code, status.code);
    out.bytes(STATUS_TAG.message, message);
    out.bytes(STATUS_TAG.fault, fault);
    out.number(STATUS_TAG.retryAfterMs, status.retryAfterMs);
  }
}

/** Tag and length of the fragment, tag and length of its data: at most 4 bytes each within a frame. */
const FRAGMENT_OVERHEAD = 8;

function headSize(head: FragmentHead): number {
  return (
    numberSize(head.id) +
    (head.stamp === undefined ? 0 : messageSize(head.stamp.length)) +
    (head.status === undefined ? 0 : messageSize(statusSize(head.status))) +
    (head.bounds === undefined ? 0 : messageSize(head.bounds.length)) +
    (head.messageEnd ? 2 : 0) +
    int32Size(head.format) +
    (head.timing === undefined ? 0 : messageSize(timingSize(head.timing))) +
    numberSize(head.partialBytes)
  );
}

function statusSize({ code, message, fault, retryAfterMs }: FragmentStatus): number {
  return (
    int32Size(code) +
    bytesSize(Buffer.byteLength(message)) +
    bytesSize(Buffer.byteLength(fault)) +
    numberSize(retryAfterMs)
  );
}

function timingSize({ queueUs, serviceUs }: FragmentTiming): number {
  return numberSize(queueUs) + numberSize(serviceUs);
}
