import { Fault } from "../../../fault/fault.ts";

/** Memory of partials that wait for their gateways to take them: of the process, or of one stream of it. */
export class UnsentBytes {
  readonly #max: number;
  readonly #whole: UnsentBytes | undefined;
  #bytes = 0;
  #isFull = false;

  constructor(max: number, whole?: UnsentBytes) {
    this.#max = max;
    this.#whole = whole;
  }

  /** Of one stream: half of the whole at most, so that a gateway that takes nothing leaves room for others. */
  share(): UnsentBytes {
    return new UnsentBytes(this.#max / 2, this);
  }

  /** Grown, or shrunk where it is negative. */
  add(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes <= this.#max / 2) this.#isFull = false;
    this.#whole?.add(bytes);
  }

  /**
   * Fault `overloaded`: a partial did not fit, and since then not half of what waited has been taken. What is asked now
   * would be worked out for nothing.
   */
  assertTaken(): void {
    this.#whole?.assertTaken();
    if (this.#isFull) throw this.#overloaded(`${this.#bytes} bytes of partials wait to be sent`);
  }

  /**
   * Fault `overloaded`: with so many bytes more it would be too much. One partial alone is never too much: it is in
   * memory already, and whoever asked takes it.
   */
  assertRoom(bytes: number): void {
    this.#whole?.assertRoom(bytes);
    if (this.#bytes === 0 || this.#bytes + bytes <= this.#max) return;
    this.#isFull = true;
    throw this.#overloaded(`${this.#bytes} bytes of partials wait to be sent, ${bytes} more would be too many`);
  }

  #overloaded(message: string): Fault {
    return new Fault("overloaded", message, { retryAfterMs: 100 });
  }
}
