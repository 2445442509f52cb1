import { BinaryReader } from "@bufbuild/protobuf/wire";
import { WireCursor } from "../../../wire/wire-cursor.ts";

/** Field numbers are read by the library's rules for depth of what is unknown. */
const DEPTH_MAX = 100;

/**
 * Reads the wire format that shards send: everything is checked, since nothing of it was written here. It accepts what
 * `fromBinary` accepts, with one difference: a field may not reach beyond the message that it is in.
 */
export class WireReader extends WireCursor {
  #skipper: BinaryReader | undefined;

  /** Field number and wire type. */
  tag(): number {
    const { bytes } = this;
    const first = bytes[this.at]!;
    let tag = first;
    if (first < 0x80) this.at += 1;
    else {
      const start = this.at;
      tag = this.varint32();
      const length = this.at - start;
      if (length > 5 || (length === 5 && bytes[this.at - 1]! > 0x0f)) throw new Error("a tag beyond 32 bits");
    }
    if (tag >>> 3 === 0 || (tag & 7) > 5) throw new Error(`no field has the tag ${tag}`);
    return tag;
  }

  /** A varint of up to seven bytes; negative, and nothing is read, where there are more. */
  shortVarint(): number {
    const { bytes, at } = this;
    let value = 0;
    for (let count = 0, factor = 1; count < 7; count++, factor *= 128) {
      const byte = bytes[at + count]!;
      value += (byte & 0x7f) * factor;
      if (byte >= 0x80) continue;
      if (byte === undefined) break;
      this.at = at + count + 1;
      return value;
    }
    return -1;
  }

  /** Where what has a length ends; it must lie before `limit`. */
  lengthEnd(limit: number): number {
    const length = this.varint32();
    const end = this.at + length;
    if (end > limit) throw new Error(`a field of ${length} bytes where ${limit - this.at} are left`);
    return end;
  }

  /** Past a field that the message does not have. */
  skipUnknown(tag: number, depth: number, limit: number): void {
    const skipper = this.#skipper ?? new BinaryReader(this.bytes);
    this.#skipper = skipper;
    skipper.pos = this.at;
    skipper.skip(tag & 7, tag >>> 3, DEPTH_MAX - depth);
    this.at = skipper.pos;
    if (this.at > limit) throw new Error("a field reaches beyond its message");
  }
}
