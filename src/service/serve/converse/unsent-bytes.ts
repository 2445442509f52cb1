import { Fault } from "../../../fault/fault.ts";

/** Memory of all partials in the process that wait for their gateways to take them. */
export class UnsentBytes {
  readonly #max: number;
  #bytes = 0;

  constructor(max: number) {
    this.#max = max;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Grown, or shrunk where it is negative. */
  add(bytes: number): void {
    this.#bytes += bytes;
  }

  /**
   * Fault `overloaded`: with so many bytes more it would be too much. One partial alone is never too much: it is in
   * memory already, and whoever asked takes it.
   */
  assertRoom(bytes: number): void {
    if (this.#bytes === 0 || this.#bytes + bytes <= this.#max) return;
    const message = `${this.#bytes} bytes of partials wait to be sent, ${bytes} more would be over ${this.#max}`;
    throw new Fault("overloaded", message, { retryAfterMs: 100 });
  }
}
