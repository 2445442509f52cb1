/**
 * A place in bytes of protobuf's wire format. Numbers are checked, lengths are not: enough to read answers, which were
 * written here. What shards send is read by the `WireReader` of the merge, which adds the rest.
 */
export class WireCursor {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  at = 0;
  /** Halves of the last `varint64`, as signed numbers. */
  low = 0;
  high = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** The lower 32 bits, unsigned. */
  varint32(): number {
    const { bytes } = this;
    let byte = this.#byte();
    if (byte < 0x80) return byte;
    let value = byte & 0x7f;
    for (let count = 1, shift = 7; byte >= 0x80; count++, shift += 7) {
      if (count === 10) throw new Error("a varint of more than ten bytes");
      byte = bytes[this.at++]!;
      if (byte === undefined) throw new Error("it ends within a number");
      if (shift < 32) value |= (byte & 0x7f) << shift;
    }
    return value >>> 0;
  }

  varint64(): void {
    const { bytes } = this;
    let low = 0;
    let high = 0;
    let byte = 0x80;
    for (let shift = 0; byte >= 0x80; shift += 7) {
      if (shift === 70) throw new Error("a varint of more than ten bytes");
      byte = bytes[this.at++]!;
      if (byte === undefined) throw new Error("it ends within a number");
      const bits = byte & 0x7f;
      if (shift < 28) low |= bits << shift;
      else if (shift === 28) {
        low |= bits << 28;
        high = bits >>> 4;
      } else high |= bits << (shift - 32);
    }
    this.low = low;
    this.high = high;
  }

  double(): number {
    this.at += 8;
    return this.view.getFloat64(this.at - 8, true);
  }

  float(): number {
    this.at += 4;
    return this.view.getFloat32(this.at - 4, true);
  }

  /** Signed. */
  fixed32(): number {
    this.at += 4;
    return this.view.getInt32(this.at - 4, true);
  }

  /** The bytes behind a length; not a copy. */
  delimited(): Buffer {
    const length = this.varint32();
    this.at += length;
    const { buffer, byteOffset } = this.bytes;
    return Buffer.from(buffer, byteOffset + this.at - length, length);
  }

  #byte(): number {
    const byte = this.bytes[this.at++];
    if (byte === undefined) throw new Error("it ends within a number");
    return byte;
  }
}
