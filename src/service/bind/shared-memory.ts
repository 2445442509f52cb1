/** Objects of one state that other states may hold too, with their bytes. */
export type SharedParts = ReadonlyMap<object, number>;

/**
 * Memory that several states hold together. A part is known by its identity and counts once while anybody holds it, with
 * the bytes that its first holder gave.
 */
export class SharedMemory {
  readonly #held = new Map<object, { readonly bytes: number; holders: number }>();
  #bytes = 0;

  get bytes(): number {
    return this.#bytes;
  }

  /** Bytes of the parts that nobody holds yet. */
  growth(parts: SharedParts): number {
    let growth = 0;
    for (const [part, bytes] of parts) if (!this.#held.has(part)) growth += bytes;
    return growth;
  }

  add(parts: SharedParts): void {
    for (const [part, bytes] of parts) {
      const held = this.#held.get(part);
      if (held !== undefined) held.holders++;
      else {
        this.#held.set(part, { bytes, holders: 1 });
        this.#bytes += bytes;
      }
    }
  }

  remove(parts: SharedParts): void {
    for (const part of parts.keys()) {
      const held = this.#held.get(part);
      if (held === undefined || --held.holders > 0) continue;
      this.#held.delete(part);
      this.#bytes -= held.bytes;
    }
  }
}
