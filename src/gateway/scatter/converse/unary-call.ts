import type { Fault } from "../../../fault/fault.ts";
import { faultFromUnknown } from "../../../fault/fault-from-unknown.ts";
import { type Stamp, stampDifference } from "../../../mesh/stamp.ts";
import type { Fragment } from "../../../wire/converse/fragment.ts";
import { CREDIT_BYTES } from "../../../wire/converse/limits.ts";
import { attempted } from "../shard-fault.ts";
import type { ShardCall, ShardReply, ShardTransport } from "../shard-transport.ts";
import { GrowingBytes } from "./growing-bytes.ts";
import { type CallTerms, StreamCall } from "./stream-call.ts";

const NOTHING: Uint8Array = new Uint8Array();

/** Told how large the partials of a method are. */
export interface PartialSizes {
  replied(path: string, bytes: number): void;
}

/** A unary method's call: its partial is all its data put together. */
export class UnaryCall extends StreamCall {
  readonly #sized: PartialSizes;
  readonly #reply = Promise.withResolvers<ShardReply>();
  #stamp: Stamp | undefined;
  #whole: Uint8Array | undefined;
  readonly #pieces = new GrowingBytes();
  #format: Fragment["format"] = 0;
  /** As the service told with the first fragment; 0: it did not. */
  #announced = 0;
  /** Of the query's memory. */
  #held = 0;

  constructor(terms: CallTerms, sized: PartialSizes) {
    super(terms);
    this.#sized = sized;
  }

  get reply(): Promise<ShardReply> {
    return this.#reply.promise;
  }

  protected override vouched(stamp: Stamp | undefined, fragment: Fragment): void {
    const isExpected = stamp !== undefined && stampDifference(this.terms.call.expected, stamp) === undefined;
    this.#stamp = stamp;
    this.#format = fragment.format;
    if (isExpected) return;
    // Nothing of it will be used, so nothing more of it need come. Who asked is told by the stamp.
    this.end(true);
    this.#answer(fragment, NOTHING);
  }

  protected override received({ data, status, format, partialBytes }: Fragment): void {
    if (format !== 0) this.#format = format;
    if (partialBytes > 0 && this.#pieces.length === 0 && !this.#announce(partialBytes)) return;
    const length = this.#pieces.length + data.length;
    if (!this.mayHave(length)) return;
    if (this.#announced > 0 && length > this.#announced) {
      this.stop(this.#unlikeAnnounced(length));
      return;
    }
    // Most partials come in one piece, with their status, and need not be put together.
    if (status !== undefined && this.#pieces.length === 0) this.#whole = data;
    else this.#pieces.append(data);
    const isAllGranted = this.#announced > 0 && length + this.credit >= this.#announced;
    if (status !== undefined || isAllGranted || this.credit >= CREDIT_BYTES / 2) return;
    this.#grantMore(CREDIT_BYTES - this.credit);
  }

  /** Makes room for all of it before it comes. False: there is none, and the call has ended. */
  #announce(bytes: number): boolean {
    if (!this.mayHave(bytes)) return false;
    // What every call may send is not asked for.
    if (bytes > CREDIT_BYTES && !this.#hold(bytes)) return false;
    this.#announced = bytes;
    this.#pieces.expect(bytes);
    return true;
  }

  /** What is granted may come, and will be held: so it is asked for first, and with it what every call may send. */
  #grantMore(bytes: number): void {
    if (this.#announced === 0 && !this.#hold(this.#held === 0 ? CREDIT_BYTES + bytes : bytes)) return;
    this.grant(bytes);
  }

  /** False: there is no memory for it, and the call has ended. */
  #hold(bytes: number): boolean {
    try {
      this.terms.call.memory?.hold(bytes);
    } catch (error) {
      this.stop(faultFromUnknown(error, attempted(this.terms.call)));
      return false;
    }
    this.#held += bytes;
    return true;
  }

  #unlikeAnnounced(bytes: number): Fault {
    return this.faultFor("bad-partial", `it sent ${bytes} bytes, and told of ${this.#announced}`, "BAD_PARTIAL");
  }

  protected override finished(fragment: Fragment): void {
    if (this.#announced > 0 && this.#pieces.length < this.#announced) {
      this.fail(this.#unlikeAnnounced(this.#pieces.length));
      return;
    }
    this.end(false);
    const message = this.#whole ?? this.#pieces.take();
    this.#sized.replied(this.terms.call.path, message.length);
    this.#answer(fragment, message);
  }

  protected override failed(fault: Fault): void {
    this.terms.call.memory?.release(this.#held);
    this.#held = 0;
    this.#reply.reject(fault);
  }

  protected override moved(transport: ShardTransport, call: ShardCall): void {
    transport.unary(call, this.terms.signal).then(this.#reply.resolve, this.#reply.reject);
  }

  #answer(fragment: Fragment, message: Uint8Array): void {
    this.#reply.resolve({
      stamp: this.#stamp,
      message,
      // One that came in pieces was put together in memory of its own.
      held: this.#held,
      isOwn: message.length > 0 && this.#whole === undefined,
      bounds: fragment.bounds,
      format: fragment.format || this.#format,
      transport: this.home?.kind ?? "stream",
      pod: this.home?.pod ?? "",
      callsInFrame: this.frame?.calls ?? 1,
      timing: fragment.timing,
    });
  }
}
