/**
 * Which keys left lately, in four bytes each: a table of fingerprints in which a key has one place, so that later ones
 * write over earlier ones. A wrong "yes" (one in four thousand millions for each key asked) admits an entry too early, a
 * wrong "no" too late; neither changes what a cache answers.
 */
export class LatelyLeft {
  readonly #fingerprints: Uint32Array;

  /** Remembers about so many keys; `places` is a power of two. */
  constructor(places: number) {
    this.#fingerprints = new Uint32Array(places);
  }

  get bytes(): number {
    return this.#fingerprints.byteLength;
  }

  add(key: string): void {
    const { place, fingerprint } = this.#hash(key);
    this.#fingerprints[place] = fingerprint;
  }

  has(key: string): boolean {
    const { place, fingerprint } = this.#hash(key);
    return this.#fingerprints[place] === fingerprint;
  }

  /** Two multiplicative hashes in one pass over the key. */
  #hash(key: string): { place: number; fingerprint: number } {
    let a = 0x9e3779b1;
    let b = 0x85ebca6b;
    for (let i = 0; i < key.length; i++) {
      const code = key.charCodeAt(i);
      a = Math.imul(a ^ code, 0x01000193);
      b = Math.imul(b ^ code, 0x5bd1e995);
    }
    const place = (a ^ (a >>> 15)) & (this.#fingerprints.length - 1);
    // Zero is an empty place.
    return { place, fingerprint: (b ^ (b >>> 13)) >>> 0 || 1 };
  }
}
