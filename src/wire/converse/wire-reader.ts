import { isUtf8 } from "node:buffer";
import { Fault } from "../../fault/fault.ts";
import type { FaultId } from "../../fault/fault-catalog.ts";
import type { RepeatedText } from "./repeated-text.ts";

/** What numbers above 2^53 - 1 are read as: they count nothing that exists, and an id among them is refused. */
export const BEYOND_SAFE = 2 ** 53;

/** As other protobuf parsers do: deeper groups are an attack on the stack. */
const GROUP_DEPTH_MAX = 100;
const VARINT_BYTES_MAX = 10;

/**
 * Reads protobuf's wire format, never past the end of the message that it is in. Whatever is not protobuf is the fault
 * given to the constructor. Byte strings are views of what is read, not copies.
 *
 *     while (reader.more) {
 *       const tag = reader.tag();
 *       if (tag === ID) id = reader.uint64();
 *       else reader.skip(tag);
 *     }
 */
export class WireReader {
  readonly #bytes: Buffer;
  readonly #fault: FaultId;
  #at = 0;
  #end: number;

  constructor(bytes: Uint8Array, fault: FaultId) {
    this.#bytes = asBuffer(bytes);
    this.#fault = fault;
    this.#end = bytes.byteLength;
  }

  get more(): boolean {
    return this.#at < this.#end;
  }

  /** Field number times 8 plus wire type. */
  tag(): number {
    const tag = this.uint64();
    if (tag < 8 || tag > 0xffffffff) throw this.#unreadable(`${tag} is not the tag of a field`);
    return tag;
  }

  /** Exact up to 2^53 - 1, `BEYOND_SAFE` above. */
  uint64(): number {
    const first = this.#byte();
    if (first < 0x80) return first;
    let value = first & 0x7f;
    let scale = 0x80;
    for (let n = 1; n < VARINT_BYTES_MAX; n++, scale *= 0x80) {
      const byte = this.#byte();
      // Of the tenth byte one bit is left of 64.
      value += (n === VARINT_BYTES_MAX - 1 ? byte & 1 : byte & 0x7f) * scale;
      if (byte < 0x80) return value > Number.MAX_SAFE_INTEGER ? BEYOND_SAFE : value;
    }
    throw this.#unreadable("a number has more than ten bytes");
  }

  /** The low 32 bits, as protobuf reads a number that is longer than its field. */
  uint32(): number {
    let value = 0;
    for (let n = 0; n < VARINT_BYTES_MAX; n++) {
      const byte = this.#byte();
      if (n < 5) value |= (byte & 0x7f) << (7 * n);
      if (byte < 0x80) return value >>> 0;
    }
    throw this.#unreadable("a number has more than ten bytes");
  }

  int32(): number {
    return this.uint32() | 0;
  }

  bool(): boolean {
    return this.uint64() !== 0;
  }

  bytes(): Buffer {
    const length = this.#length();
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  /** With `repeated`, texts that came before are not made anew. */
  text(repeated?: RepeatedText): string {
    const length = this.#length();
    const from = this.#at;
    this.#at += length;
    return (
      repeated?.find(this.#bytes, from, length) ?? this.#newText(this.#bytes.subarray(from, from + length), repeated)
    );
  }

  /** Enters an embedded message; `leave` takes what it returns. */
  enter(): number {
    const length = this.#length();
    const outer = this.#end;
    this.#end = this.#at + length;
    return outer;
  }

  leave(outer: number): void {
    this.#end = outer;
  }

  /** Passes over a field that is not known, or not of the type that it is known with. */
  skip(tag: number): void {
    let group = tag;
    const open: number[] = [];
    for (;;) {
      switch (group & 7) {
        case 0:
          this.uint64();
          break;
        case 1:
          this.#pass(8);
          break;
        case 2:
          this.#pass(this.#length());
          break;
        case 3:
          if (open.push(group >>> 3) > GROUP_DEPTH_MAX) throw this.#unreadable("its groups are too deep");
          break;
        case 4:
          if (open.pop() !== group >>> 3) throw this.#unreadable("a group ends that did not begin");
          break;
        case 5:
          this.#pass(4);
          break;
        default:
          throw this.#unreadable(`${group & 7} is not a wire type`);
      }
      if (open.length === 0) return;
      group = this.tag();
    }
  }

  #newText(bytes: Buffer, repeated: RepeatedText | undefined): string {
    if (!isUtf8(bytes)) throw this.#unreadable("a string is not UTF-8");
    const text = bytes.toString("utf8");
    repeated?.keep(bytes, text);
    return text;
  }

  #length(): number {
    const length = this.uint64();
    if (length > this.#end - this.#at) throw this.#unreadable(`${length} bytes are announced, not all are there`);
    return length;
  }

  #pass(bytes: number): void {
    if (bytes > this.#end - this.#at) throw this.#unreadable("it ends within a field");
    this.#at += bytes;
  }

  #byte(): number {
    if (this.#at >= this.#end) throw this.#unreadable("it ends within a number");
    return this.#bytes[this.#at++] as number;
  }

  #unreadable(reason: string): Fault {
    return new Fault(this.#fault, `read a frame of ${this.#bytes.length} bytes: at byte ${this.#at}, ${reason}`);
  }
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
