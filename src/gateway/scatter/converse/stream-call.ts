import { Fault } from "../../../fault/fault.ts";
import type { FaultId } from "../../../fault/fault-catalog.ts";
import { faultFromUnknown } from "../../../fault/fault-from-unknown.ts";
import type { Stamp } from "../../../mesh/stamp.ts";
import type { Fragment } from "../../../wire/converse/fragment.ts";
import { CREDIT_BYTES, FRAGMENT_BYTES_MAX } from "../../../wire/converse/limits.ts";
import { attempted, packedFault } from "../shard-fault.ts";
import type { ShardCall, ShardTransport, TransportKind } from "../shard-transport.ts";
import type { KnownStamps } from "./known-stamps.ts";
import type { Follower } from "./signal-followers.ts";

/** The stream that a call is on, as the call sees it. */
export interface CallHome {
  readonly kind: TransportKind;
  readonly pod: string;
  readonly stamps: KnownStamps;
  /** The service may send so many bytes more for the call. */
  grant(call: StreamCall, bytes: number): void;
  /** The call has ended; `unheard`: the service does not know it yet. */
  ended(call: StreamCall, unheard: boolean): void;
}

/** A frame as its calls remember it. */
export interface SentFrame {
  calls: number;
}

export interface CallTerms {
  readonly call: ShardCall;
  /** In monotonic time. */
  readonly deadline: number;
  readonly signal: AbortSignal;
  /** Of one message. */
  readonly partialBytesMax: number;
}

const OK = 0;

/** One call on a stream, from when it waits to be sent until it has ended, which happens once whatever comes. */
export abstract class StreamCall implements Follower {
  readonly terms: CallTerms;
  /** 0 until it is sent. */
  id = 0;
  frame: SentFrame | undefined;
  home: CallHome | undefined;
  ended = false;
  /** Whoever cancels it with others; see `SignalFollowers`. */
  group: Set<Follower> | undefined;
  /** As it went another way: who cancels the call knows this one only. */
  #moved: ShardCall | undefined;
  #isVouched = false;
  #received = 0;
  #granted = CREDIT_BYTES;

  constructor(terms: CallTerms) {
    this.terms = terms;
  }

  /** What came for it. The stamp is looked at before anything else. */
  take(fragment: Fragment): void {
    const { stamp, data, status } = fragment;
    if (stamp !== undefined) {
      // A second one, or one after data, is as good as none: it is not known what it belongs to.
      const known = this.#isVouched ? undefined : this.home?.stamps.read(stamp, this.terms.call.shard);
      this.#vouch(known, fragment);
    }
    if (!this.ended && (data.length > 0 || fragment.messageEnd)) {
      if (!this.#isVouched) this.#vouch(undefined, fragment);
      if (!this.ended) this.#receive(fragment);
    }
    if (!this.ended && status !== undefined) {
      if (status.code !== OK) {
        this.fail(packedFault(status, this.terms.call));
        return;
      }
      if (!this.#isVouched) this.#vouch(undefined, fragment);
      if (!this.ended) this.finished(fragment);
    }
  }

  /** Ends it; the service has nothing more to do for it. */
  fail(fault: Fault): void {
    this.end(false);
    this.failed(fault);
  }

  /** Ends it, and the service is told to stop. */
  stop(fault: Fault): void {
    this.end(true);
    this.failed(fault);
  }

  cancelled(reason: unknown): void {
    this.#moved?.under?.cancelled(reason);
    this.stop(faultFromUnknown(reason, attempted(this.terms.call)));
  }

  tooLate(): void {
    const text = `no answer in ${Math.round(this.terms.call.timeoutMs)} ms`;
    this.stop(this.faultFor("deadline-exceeded", text, "DEADLINE_EXCEEDED"));
  }

  /** Before it was sent: it goes another way, with what is left of its time. */
  moveTo(transport: ShardTransport, now: number): void {
    this.end(false);
    // Its `under` is the other way's to put in; until then nothing is under way there.
    this.#moved = { ...this.terms.call, timeoutMs: Math.max(1, this.terms.deadline - now), under: undefined };
    this.moved(transport, this.#moved);
  }

  protected end(unheard: boolean): void {
    if (this.ended) return;
    this.ended = true;
    this.group?.delete(this);
    this.home?.ended(this, unheard);
  }

  /** So many bytes more are wanted than what is left of the grant. */
  protected grant(bytes: number): void {
    this.#granted += bytes;
    this.home?.grant(this, bytes);
  }

  /** Bytes that the service may still send. */
  protected get credit(): number {
    return this.#granted - this.#received;
  }

  /** Undefined: none, or none that can be believed. */
  protected abstract vouched(stamp: Stamp | undefined, fragment: Fragment): void;
  protected abstract received(fragment: Fragment): void;
  /** The service says that this was all. */
  protected abstract finished(fragment: Fragment): void;
  protected abstract failed(fault: Fault): void;
  protected abstract moved(transport: ShardTransport, call: ShardCall): void;

  #vouch(stamp: Stamp | undefined, fragment: Fragment): void {
    this.#isVouched = true;
    this.vouched(stamp, fragment);
  }

  #receive(fragment: Fragment): void {
    const { length } = fragment.data;
    this.#received += length;
    let wrong: string | undefined;
    if (length > FRAGMENT_BYTES_MAX) wrong = `it sent a fragment of ${length} bytes, allowed: ${FRAGMENT_BYTES_MAX}`;
    else if (this.#received > this.#granted) wrong = `it sent ${this.#received} bytes, granted: ${this.#granted}`;
    if (wrong === undefined) this.received(fragment);
    else this.stop(this.faultFor("shard-failed", wrong, "RESOURCE_EXHAUSTED"));
  }

  /** False: a message of so many bytes is too large, and the call has ended. */
  protected mayHave(bytes: number): boolean {
    const { partialBytesMax } = this.terms;
    if (bytes <= partialBytesMax) return true;
    const text = `a message is larger than ${partialBytesMax} bytes: ${bytes} so far`;
    this.stop(this.faultFor("answer-too-large", text));
    return false;
  }

  protected faultFor(id: FaultId, text: string, reason?: string): Fault {
    const { call } = this.terms;
    const detail = { shard: call.shard, ...(reason === undefined ? {} : { reason }) };
    return new Fault(id, `${attempted(call)}: ${text}`, detail);
  }
}
