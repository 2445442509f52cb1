import { BoundedCache, type CacheCounts } from "./bounded-cache.ts";
import { ownBytes } from "./own-bytes.ts";

/** A whole answer, which may be given to several: every byte of it that a reply needs, each format written once. */
export interface FinishedAnswer {
  /** The message in protobuf's wire format. */
  readonly pieces: readonly Uint8Array[];
  /** The body of a reply over HTTP, as soon as somebody has written it. */
  body: Buffer | undefined;
}

/** Complete answers of deterministic methods, by `answerKey`. */
export class AnswerCache {
  readonly #cache: BoundedCache<FinishedAnswer>;

  constructor(bytesMax: number) {
    this.#cache = new BoundedCache(bytesMax);
  }

  get counts(): CacheCounts {
    return this.#cache.counts;
  }

  find(key: string): FinishedAnswer | undefined {
    return this.#cache.get(key);
  }

  /** Keeps what is there of it; to be called again when more is. False when it is too large, also without its body. */
  keep(key: string, { pieces, body }: FinishedAnswer): boolean {
    const bytes = pieces.reduce((sum, piece) => sum + piece.length, 0);
    if (!this.#cache.fits(key, bytes)) return false;
    const isWhole = body !== undefined && this.#cache.fits(key, bytes + body.length);
    const kept = { pieces: [ownBytes(pieces)], body: isWhole ? ownBytes([body]) : undefined };
    return this.#cache.set(key, kept, bytes + (kept.body?.length ?? 0));
  }
}
