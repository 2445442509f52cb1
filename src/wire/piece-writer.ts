import { varintSize } from "./converse/wire-writer.ts";

/** What is copied together, and from where on a value is referred to instead. */
const CHUNK_BYTES = 64 * 1024;
const CHUNK_BYTES_MIN = 4096;

/**
 * Protobuf's wire format as pieces that follow each other. Nothing is copied twice and nothing grows: what is small is
 * copied into pieces of 64 KiB, what is not is a piece itself, which nobody may change until it is sent.
 */
export class PieceWriter {
  /** Bytes written, and those of them that were copied: what a slice is measured by. */
  size = 0;
  copied = 0;
  readonly #pieces: Uint8Array[] = [];
  #chunk: Buffer;
  /** What is closed already of the chunk, and what is written. */
  #from = 0;
  #at = 0;

  /** `expected`: where the size is known, so that what is small is one piece. */
  constructor(expected = CHUNK_BYTES_MIN) {
    this.#chunk = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, expected));
  }

  /** Tag and number, or tag and length of what comes next; written although it may be zero. The tag is one byte. */
  number(tag: number, value: number): void {
    this.byte(tag);
    this.varint(value);
  }

  varint(value: number): void {
    const size = varintSize(value);
    this.#room(size);
    let rest = value;
    for (let n = 1; n < size; n++) {
      this.#chunk[this.#at++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.#chunk[this.#at++] = rest;
    this.#wrote(size);
  }

  byte(value: number): void {
    this.#room(1);
    this.#chunk[this.#at++] = value;
    this.#wrote(1);
  }

  text(text: string): void {
    const most = 3 * text.length;
    if (most > CHUNK_BYTES) {
      this.add(Buffer.from(text));
      return;
    }
    this.#room(most);
    const size = this.#chunk.write(text, this.#at);
    this.#at += size;
    this.#wrote(size);
  }

  add(bytes: Uint8Array): void {
    if (bytes.length >= CHUNK_BYTES) {
      this.#close();
      this.#pieces.push(bytes);
      this.size += bytes.length;
      return;
    }
    for (let from = 0; from < bytes.length; ) {
      this.#room(1);
      const count = Math.min(bytes.length - from, this.#chunk.length - this.#at);
      this.#chunk.set(count === bytes.length ? bytes : bytes.subarray(from, from + count), this.#at);
      this.#at += count;
      from += count;
    }
    this.#wrote(bytes.length);
  }

  /** All pieces; nothing may be written any more. */
  end(): readonly Uint8Array[] {
    this.#close();
    return this.#pieces;
  }

  #wrote(bytes: number): void {
    this.size += bytes;
    this.copied += bytes;
  }

  #room(bytes: number): void {
    if (this.#at + bytes <= this.#chunk.length) return;
    this.#close();
    const larger = Math.min(CHUNK_BYTES, 2 * Math.max(CHUNK_BYTES_MIN, this.#chunk.length));
    this.#chunk = Buffer.allocUnsafe(Math.max(larger, bytes));
    this.#from = 0;
    this.#at = 0;
  }

  #close(): void {
    if (this.#at > this.#from) this.#pieces.push(this.#chunk.subarray(this.#from, this.#at));
    this.#from = this.#at;
  }
}
