import { Fault } from "../../../fault/fault.ts";

/** What of a stream the closing of the process needs. */
export interface OpenStream {
  readonly calls: number;
  drain(graceMs: number): void;
  end(fault: Fault | undefined): void;
}

/** The packed streams of a process, so that it can ask their gateways to go elsewhere before it closes. */
export class OpenStreams {
  readonly #streams = new Set<OpenStream>();
  #waiting: { readonly isDone: () => boolean; readonly resolve: () => void }[] = [];
  #draining = false;

  /** Fault `not-ready` while the process closes. */
  assertOpen(): void {
    if (this.#draining) throw new Fault("not-ready", "open a packed stream: the service is closing");
  }

  add(stream: OpenStream): void {
    this.#streams.add(stream);
  }

  remove(stream: OpenStream): void {
    this.#streams.delete(stream);
    this.changed();
  }

  /** A call has been answered, or a stream is gone. */
  changed(): void {
    for (const waiting of this.#waiting) if (waiting.isDone()) waiting.resolve();
    this.#waiting = this.#waiting.filter(({ isDone }) => !isDone());
  }

  /** Asks all gateways for another stream, and refuses new ones here. */
  drain(graceMs: number): void {
    this.#draining = true;
    for (const stream of this.#streams) stream.drain(graceMs);
  }

  /** Resolves when no call is under way or waits to be sent. */
  answered(): Promise<void> {
    return this.#when(() => [...this.#streams].every(({ calls }) => calls === 0));
  }

  /** Resolves when the gateways have ended all streams. */
  left(): Promise<void> {
    return this.#when(() => this.#streams.size === 0);
  }

  /** Ends what is still open. */
  endAll(): void {
    for (const stream of this.#streams) stream.end(new Fault("not-ready", "the service is closing"));
  }

  #when(isDone: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      if (isDone()) resolve();
      else this.#waiting.push({ isDone, resolve });
    });
  }
}
