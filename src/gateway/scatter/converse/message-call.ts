import { Fault } from "../../../fault/fault.ts";
import type { Stamp } from "../../../mesh/stamp.ts";
import type { Fragment } from "../../../wire/converse/fragment.ts";
import { CREDIT_BYTES } from "../../../wire/converse/limits.ts";
import { attempted } from "../shard-fault.ts";
import type { ShardCall, ShardStream, ShardTransport } from "../shard-transport.ts";
import { GrowingBytes } from "./growing-bytes.ts";
import { StreamCall } from "./stream-call.ts";

/** Messages that wait for a reader. Those with bytes are bounded by credit, empty ones by this. */
const WAITING_MAX = 4 * CREDIT_BYTES;
/** Grants are sent in pieces of this, well before the service has to wait. */
const GRANT_BYTES = CREDIT_BYTES / 4;

type Result = IteratorResult<Uint8Array, undefined>;

/**
 * A streaming method's call: messages in order, read at the reader's pace. The service is granted what the reader took.
 * A message longer than the credit must come whole before it can be read, so it is granted as it comes while nothing
 * else is there to read: a slow reader holds 256 KiB and one message in memory at most.
 */
export class MessageCall extends StreamCall implements AsyncIterator<Uint8Array, undefined> {
  readonly #opened = Promise.withResolvers<ShardStream>();
  #isOpen = false;
  readonly #pieces = new GrowingBytes();
  #waiting: Uint8Array[] = [];
  #at = 0;
  /** Granted before it was read. */
  #prepaid = 0;
  #owed = 0;
  #reader: PromiseWithResolvers<Result> | undefined;
  #end: { readonly fault: Fault | undefined } | undefined;

  get opened(): Promise<ShardStream> {
    return this.#opened.promise;
  }

  next(): Promise<Result> {
    const message = this.#waiting[this.#at];
    if (message !== undefined) {
      this.#at++;
      if (this.#at === this.#waiting.length) {
        this.#waiting = [];
        this.#at = 0;
      } else if (this.#at === 1024) {
        this.#waiting = this.#waiting.slice(1024);
        this.#at = 0;
      }
      this.#read(message.length);
      return Promise.resolve({ done: false, value: message });
    }
    if (this.#end === undefined) {
      this.#reader = Promise.withResolvers();
      return this.#reader.promise;
    }
    const { fault } = this.#end;
    if (fault === undefined) return Promise.resolve({ done: true, value: undefined });
    // Told once: what is read after a fault is the end.
    this.#end = { fault: undefined };
    return Promise.reject(fault);
  }

  return(): Promise<Result> {
    if (!this.ended) this.stop(new Fault("cancelled", `${attempted(this.terms.call)}: the reader stopped`));
    this.#waiting = [];
    this.#at = 0;
    this.#end = { fault: undefined };
    return Promise.resolve({ done: true, value: undefined });
  }

  protected override vouched(stamp: Stamp | undefined): void {
    if (this.#isOpen) {
      this.stop(this.faultFor("stamp-mismatch", "it sent a second stamp", "STAMP_MISMATCH"));
      return;
    }
    this.#isOpen = true;
    const messages = { [Symbol.asyncIterator]: () => this };
    this.#opened.resolve({ stamp, messages, transport: this.home?.kind ?? "bulk" });
  }

  protected override received({ data, messageEnd }: Fragment): void {
    const length = this.#pieces.length + data.length;
    if (!this.mayHave(length)) return;
    if (messageEnd && this.#pieces.length === 0) {
      // A copy, as of pieces: it must not hold its frame in memory while it waits.
      this.#deliver(Buffer.from(data));
      return;
    }
    this.#pieces.append(data);
    if (messageEnd) this.#deliver(this.#pieces.take());
    else if (this.#waiting.length === 0) this.#prepay();
  }

  protected override finished(): void {
    if (this.#pieces.length > 0) {
      this.fail(this.faultFor("bad-partial", "it ended within a message", "BAD_PARTIAL"));
      return;
    }
    this.end(false);
    this.#ends(undefined);
  }

  protected override failed(fault: Fault): void {
    this.#ends(fault);
    this.#opened.reject(fault);
  }

  protected override moved(transport: ShardTransport, call: ShardCall): void {
    transport.stream(call, this.terms.signal).then(this.#opened.resolve, this.#opened.reject);
  }

  #deliver(message: Uint8Array): void {
    const reader = this.#reader;
    if (reader !== undefined) {
      this.#reader = undefined;
      this.#read(message.length);
      reader.resolve({ done: false, value: message });
    } else if (this.#waiting.push(message) - this.#at > WAITING_MAX) {
      this.stop(this.faultFor("shard-failed", `${WAITING_MAX} messages wait to be read`, "RESOURCE_EXHAUSTED"));
    }
  }

  #ends(fault: Fault | undefined): void {
    this.#end = { fault };
    const reader = this.#reader;
    this.#reader = undefined;
    if (reader === undefined) return;
    // Told once.
    this.#end = { fault: undefined };
    if (fault === undefined) reader.resolve({ done: true, value: undefined });
    else reader.reject(fault);
  }

  #read(bytes: number): void {
    const paid = Math.min(bytes, this.#prepaid);
    this.#prepaid -= paid;
    this.#owe(bytes - paid);
    if (this.#waiting.length === 0) this.#prepay();
  }

  /** What is there of a message that is not whole yet. */
  #prepay(): void {
    const unpaid = this.#pieces.length - this.#prepaid;
    if (unpaid <= 0) return;
    this.#prepaid += unpaid;
    this.#owe(unpaid);
  }

  #owe(bytes: number): void {
    this.#owed += bytes;
    if (this.#owed < GRANT_BYTES || this.ended) return;
    this.grant(this.#owed);
    this.#owed = 0;
  }
}
