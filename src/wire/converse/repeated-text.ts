/** Longer texts are rarely the same twice. */
const TEXT_BYTES_MAX = 256;
const SLOTS = 64;
/** Of texts with their bytes; beyond it the memory starts anew. */
const ENCODED_MAX = 1024;

interface Slot {
  readonly bytes: Buffer;
  readonly text: string;
}

/**
 * Texts that a stream repeats in every frame (method, snapshot, version): made once, then found by their bytes. The
 * same text is then also the same string, whose hash is known to every map it is looked up in.
 */
export class RepeatedText {
  readonly #slots: (Slot | undefined)[] = new Array(SLOTS).fill(undefined);

  find(bytes: Buffer, from: number, length: number): string | undefined {
    if (length === 0) return "";
    const slot = this.#slots[slotOf(bytes, from, length)];
    if (slot === undefined || slot.bytes.length !== length) return undefined;
    for (let i = 0; i < length; i++) if (slot.bytes[i] !== bytes[from + i]) return undefined;
    return slot.text;
  }

  keep(bytes: Buffer, text: string): void {
    const { length } = bytes;
    if (length === 0 || length > TEXT_BYTES_MAX) return;
    // A copy: the bytes are part of a frame that must not be kept for them.
    this.#slots[slotOf(bytes, 0, length)] = { bytes: Buffer.from(bytes), text };
  }
}

/** Names that are used together mostly differ at their ends or in their lengths. */
function slotOf(bytes: Buffer, from: number, length: number): number {
  const last = bytes[from + length - 1] as number;
  const middle = bytes[from + (length >>> 1)] as number;
  return (length * 31 + last * 7 + middle) & (SLOTS - 1);
}

/** The other way round: the bytes of texts that are written again and again. */
export class EncodedText {
  readonly #bytes = new Map<string, Buffer>();

  of(text: string): Buffer {
    const known = this.#bytes.get(text);
    if (known !== undefined) return known;
    if (this.#bytes.size >= ENCODED_MAX) this.#bytes.clear();
    const bytes = Buffer.from(text, "utf8");
    this.#bytes.set(text, bytes);
    return bytes;
  }
}
