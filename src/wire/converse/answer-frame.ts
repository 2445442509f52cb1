import type { Stamp } from "../../mesh/stamp.ts";
import { heartbeatOf } from "./call-frame.ts";
import { type Fragment, fragmentOf } from "./fragment.ts";
import { stampOf } from "./packed-stamp.ts";
import { RepeatedText } from "./repeated-text.ts";
import { WireReader } from "./wire-reader.ts";

/** A frame of the service: ConverseResponse as plain values. */
export interface AnswerFrame {
  readonly hello: Hello | undefined;
  readonly fragments: readonly Fragment[];
  /** Its sequence; undefined: none in this frame. */
  readonly heartbeat: number | undefined;
  readonly drain: Drain | undefined;
}

export interface Hello {
  readonly pod: string;
  readonly instance: string;
  readonly bound: readonly Stamp[];
}

/** The grace, as a google.protobuf.Duration has it. */
export interface Drain {
  readonly seconds: number;
  readonly nanos: number;
}

export const ANSWER_FRAME_TAG = { hello: 0x0a, fragment: 0x12, heartbeat: 0x1a, drain: 0x22 };
export const HELLO_TAG = { pod: 0x0a, instance: 0x12, bound: 0x1a };
export const DRAIN_TAG = { grace: 0x0a };
export const DURATION_TAG = { seconds: 0x08, nanos: 0x10 };

/** Decodes the frames of one stream: what they repeat is made once. */
export class AnswerFrameReader {
  readonly #texts = new RepeatedText();

  /**
   * Fault `bad-partial`: it is not a ConverseResponse. Stamps and bounds are looked at by those who use them, since one
   * that cannot be read is a fault of its call and not of the stream.
   */
  read(bytes: Uint8Array): AnswerFrame {
    const reader = new WireReader(bytes, "bad-partial");
    const fragments: Fragment[] = [];
    let hello: Hello | undefined;
    let heartbeat: number | undefined;
    let drain: Drain | undefined;
    while (reader.more) {
      const tag = reader.tag();
      if (tag === ANSWER_FRAME_TAG.fragment) fragments.push(fragmentOf(reader, this.#texts));
      else if (tag === ANSWER_FRAME_TAG.heartbeat) heartbeat = heartbeatOf(reader, heartbeat);
      else if (tag === ANSWER_FRAME_TAG.hello) hello = helloOf(reader, hello);
      else if (tag === ANSWER_FRAME_TAG.drain) drain = drainOf(reader, drain);
      else reader.skip(tag);
    }
    return { hello, fragments, heartbeat, drain };
  }
}

/** Milliseconds; a grace that makes no sense is none. */
export function graceMs({ seconds, nanos }: Drain): number {
  // Negative seconds are beyond 2^53 as they are read here.
  if (seconds > Number.MAX_SAFE_INTEGER) return 0;
  return Math.max(0, seconds * 1000 + Math.floor(nanos / 1e6));
}

function helloOf(reader: WireReader, before: Hello | undefined): Hello {
  const bound = [...(before?.bound ?? [])];
  const hello = { pod: before?.pod ?? "", instance: before?.instance ?? "", bound };
  const outer = reader.enter();
  while (reader.more) {
    const tag = reader.tag();
    if (tag === HELLO_TAG.pod) hello.pod = reader.text();
    else if (tag === HELLO_TAG.instance) hello.instance = reader.text();
    else if (tag === HELLO_TAG.bound) {
      const message = reader.enter();
      bound.push(stampOf(reader));
      reader.leave(message);
    } else reader.skip(tag);
  }
  reader.leave(outer);
  return hello;
}

function drainOf(reader: WireReader, before: Drain | undefined): Drain {
  const drain = { seconds: before?.seconds ?? 0, nanos: before?.nanos ?? 0 };
  const outer = reader.enter();
  while (reader.more) {
    const tag = reader.tag();
    if (tag !== DRAIN_TAG.grace) {
      reader.skip(tag);
      continue;
    }
    const message = reader.enter();
    while (reader.more) {
      const part = reader.tag();
      if (part === DURATION_TAG.seconds) drain.seconds = reader.uint64();
      else if (part === DURATION_TAG.nanos) drain.nanos = reader.int32();
      else reader.skip(part);
    }
    reader.leave(message);
  }
  reader.leave(outer);
  return drain;
}
