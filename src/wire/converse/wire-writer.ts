import assert from "node:assert";
import { FRAME_BYTES_MAX } from "./limits.ts";

/** Frames are cut from one piece of memory after another, so that a small frame costs no allocation of its own. */
const SLAB_BYTES = 4 * FRAME_BYTES_MAX;

/** Asked of every number before it is written: what is none would make the frame unreadable, or never end. */
export function varintSize(value: number): number {
  if (!Number.isSafeInteger(value) || value < 0) assert.fail(`${value} is no whole number of a frame`);
  if (value < 0x80) return 1;
  if (value < 0x4000) return 2;
  let size = 3;
  for (let rest = Math.floor(value / 0x200000); rest > 0; rest = Math.floor(rest / 0x80)) size++;
  return size;
}

/** Fields with zero values are not written, so they take nothing. One byte of tag: all field numbers are below 16. */
export function numberSize(value: number): number {
  return value === 0 ? 0 : 1 + varintSize(value);
}

/** Negative numbers take ten bytes on the wire. */
export function int32Size(value: number): number {
  return value < 0 ? 11 : numberSize(value);
}

export function bytesSize(length: number): number {
  return length === 0 ? 0 : messageSize(length);
}

/** A message that is there although it is empty takes its tag and a zero. */
export function messageSize(length: number): number {
  return 1 + varintSize(length) + length;
}

/**
 * Writes protobuf's wire format into a frame of at most `FRAME_BYTES_MAX` bytes. Whoever writes asks `room` first and
 * knows the size of what it writes; `take` ends the frame and begins the next.
 */
export class WireWriter {
  #slab: Buffer;
  #start = 0;
  #at = 0;

  /** `bytes`: room for one message of a known size instead of frames. */
  constructor(bytes = 0) {
    this.#slab = Buffer.allocUnsafeSlow(bytes);
  }

  /** Bytes written since the frame began. */
  get size(): number {
    return this.#at - this.#start;
  }

  /** Bytes that still fit in the frame. */
  get room(): number {
    return FRAME_BYTES_MAX - this.size;
  }

  /** Makes sure that `bytes` more fit in; false when the frame is full for them. */
  reserve(bytes: number): boolean {
    if (bytes > this.room) return false;
    if (this.#start + FRAME_BYTES_MAX > this.#slab.length) this.#nextSlab();
    return true;
  }

  take(): Buffer {
    const frame = this.#slab.subarray(this.#start, this.#at);
    this.#start = this.#at;
    return frame;
  }

  /** `tag` and the length of the message that is written next. */
  message(tag: number, length: number): void {
    this.#slab[this.#at++] = tag;
    this.#varint(length);
  }

  number(tag: number, value: number): void {
    if (value === 0) return;
    this.#slab[this.#at++] = tag;
    this.#varint(value);
  }

  /** A number that is written although it may be zero. */
  element(tag: number, value: number): void {
    this.#slab[this.#at++] = tag;
    this.#varint(value);
  }

  int32(tag: number, value: number): void {
    if (value >= 0) {
      this.number(tag, value);
      return;
    }
    this.#slab[this.#at++] = tag;
    // Two's complement of 64 bits: the low 32 as they are, ones above.
    let low = value >>> 0;
    for (let n = 0; n < 4; n++, low >>>= 7) this.#slab[this.#at++] = (low & 0x7f) | 0x80;
    this.#slab[this.#at++] = low | 0xf0;
    for (let n = 0; n < 4; n++) this.#slab[this.#at++] = 0xff;
    this.#slab[this.#at++] = 1;
  }

  /** A message that is encoded already; written although it may be empty. */
  embedded(tag: number, value: Uint8Array): void {
    this.message(tag, value.length);
    this.#slab.set(value, this.#at);
    this.#at += value.length;
  }

  bytes(tag: number, value: Uint8Array, from = 0, to = value.length): void {
    if (to === from) return;
    this.message(tag, to - from);
    this.#slab.set(from === 0 && to === value.length ? value : value.subarray(from, to), this.#at);
    this.#at += to - from;
  }

  #varint(value: number): void {
    let rest = value;
    while (rest > 0x7fffffff) {
      this.#slab[this.#at++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    while (rest > 0x7f) {
      this.#slab[this.#at++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    this.#slab[this.#at++] = rest;
  }

  #nextSlab(): void {
    assert(this.size === 0, "a frame began in a slab that cannot hold it");
    this.#slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
    this.#start = 0;
    this.#at = 0;
  }
}
