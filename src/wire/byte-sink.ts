/** What a sink begins with, and how many such pieces wait for the next: memory outside the heap is dear to get. */
const FIRST_BYTES = 4096;
const SPARE_MAX = 64;
const spare: Buffer[] = [];
const NONE = Buffer.alloc(0);

/** Bytes that grow as they are written. What `take` returns is a copy: the memory behind is used again. */
export class ByteSink {
  bytes: Buffer;
  at = 0;

  constructor() {
    this.bytes = spare.pop() ?? Buffer.allocUnsafeSlow(FIRST_BYTES);
  }

  /** Makes room for so many bytes more. */
  reserve(count: number): void {
    if (this.at + count <= this.bytes.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(2 * this.bytes.length, this.at + count));
    grown.set(this.bytes.subarray(0, this.at));
    this.bytes = grown;
  }

  byte(value: number): void {
    this.reserve(1);
    this.bytes[this.at++] = value;
  }

  /** ASCII only. */
  ascii(text: string): void {
    const { length } = text;
    this.reserve(length);
    const { bytes, at } = this;
    for (let i = 0; i < length; i++) bytes[at + i] = text.charCodeAt(i);
    this.at = at + length;
  }

  text(text: string): void {
    this.reserve(3 * text.length);
    this.at += this.bytes.write(text, this.at);
  }

  copy(source: Uint8Array, start: number, end: number): void {
    const count = end - start;
    this.reserve(count);
    if (count > 32) this.bytes.set(source.subarray(start, end), this.at);
    else for (let i = 0, { bytes, at } = this; i < count; i++) bytes[at + i] = source[start + i]!;
    this.at += count;
  }

  take(): Buffer {
    const taken = Buffer.allocUnsafeSlow(this.at);
    taken.set(this.bytes.subarray(0, this.at));
    this.at = 0;
    return taken;
  }

  /** The last of it: the sink's memory goes to another one, and nothing may be written any more. */
  end(): Buffer {
    const taken = this.take();
    if (this.bytes.length === FIRST_BYTES && spare.length < SPARE_MAX) spare.push(this.bytes);
    this.bytes = NONE;
    return taken;
  }
}
