/**
 * A place in bytes of protobuf's wire format that were written here, so that they need no check: the reader of answers,
 * not of what shards send.
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
    let byte = bytes[this.at++]!;
    if (byte < 0x80) return byte;
    let value = byte & 0x7f;
    for (let shift = 7; byte >= 0x80; shift += 7) {
      byte = bytes[this.at++]!;
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
      byte = bytes[this.at++]!;
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

  /** Past one record's value. */
  skip(wireType: number): void {
    if (wireType === 0) while (this.bytes[this.at++]! >= 0x80);
    else if (wireType === 1) this.at += 8;
    else if (wireType === 5) this.at += 4;
    else this.at += this.varint32();
  }
}
