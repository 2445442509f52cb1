const NONE: Uint8Array = new Uint8Array();

/**
 * Bytes that come in pieces, put together. Pieces are copied: one that is small in its frame would hold the frame in
 * memory, and a peer decides how small they are.
 */
export class GrowingBytes {
  #bytes = NONE;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** So many will come: there is room for them at once, and nothing is copied again. */
  expect(bytes: number): void {
    this.#bytes = Buffer.allocUnsafeSlow(bytes);
  }

  append(piece: Uint8Array): void {
    const needed = this.#length + piece.length;
    if (needed > this.#bytes.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(needed, 2 * this.#bytes.length));
      grown.set(this.#bytes.subarray(0, this.#length));
      this.#bytes = grown;
    }
    this.#bytes.set(piece, this.#length);
    this.#length = needed;
  }

  /** All of them; what comes next begins anew. */
  take(): Uint8Array {
    const all = this.#bytes.subarray(0, this.#length);
    this.#bytes = NONE;
    this.#length = 0;
    return all;
  }
}
