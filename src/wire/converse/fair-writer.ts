import { AnswerFrameWriter } from "./answer-frame-writer.ts";
import { FramePace, type FramePaceOptions } from "./frame-pace.ts";
import { FRAGMENT_BYTES_MAX } from "./limits.ts";
import { OutgoingCall } from "./outgoing-call.ts";

export interface FairWriterOptions extends Pick<FramePaceOptions, "write" | "atEndOfTurn"> {
  /** Told by how much the memory of what waits to be sent has grown or shrunk. */
  readonly unsent: (bytes: number) => void;
  /** Told when a call's status is on its way. */
  readonly over: (call: OutgoingCall) => void;
}

/** Bytes that a call may send before the next has its turn; as no call has more left, no fragment is longer either. */
const QUANTUM = FRAGMENT_BYTES_MAX;
/** A fragment is cut shorter than it might be only where the frame still has room for so much of it. */
const CUT_BYTES_MIN = 1024;

/**
 * Writes a service's side of a stream. Calls that have something to send take turns by bytes (deficit round robin), so
 * a small partial waits for one quantum of each large one at most; what a call may not send yet for want of credit holds
 * up no other.
 */
export class FairWriter {
  readonly #frame = new AnswerFrameWriter();
  readonly #pace: FramePace;
  readonly #options: FairWriterOptions;
  /** Calls that are ready, in the order of their turns. */
  #first: OutgoingCall | undefined;
  #last: OutgoingCall | undefined;
  #control: ((frame: AnswerFrameWriter) => boolean)[] = [];

  readonly #changed = (call: OutgoingCall, bytes: number) => {
    if (bytes !== 0) this.#options.unsent(bytes);
    if (call.isReady) this.#list(call);
  };

  constructor(options: FairWriterOptions) {
    this.#options = options;
    const { write, atEndOfTurn } = options;
    this.#pace = new FramePace({ write, atEndOfTurn, fill: () => this.#fill() });
  }

  open(id: number): OutgoingCall {
    return new OutgoingCall(id, this.#changed, this.#options.over);
  }

  /** Before all calls. */
  hello(pod: string, instance: string, bound: readonly Buffer[]): void {
    this.#ahead((frame) => frame.hello(pod, instance, bound));
  }

  heartbeat(sequence: number): void {
    this.#ahead((frame) => frame.heartbeat(sequence));
  }

  drain(graceMs: number): void {
    this.#ahead((frame) => frame.drain(graceMs));
  }

  /** Writes what may be written, without waiting for the end of the turn. */
  flush(): void {
    this.#pace.flush();
  }

  drained(): void {
    this.#pace.drained();
  }

  stop(): void {
    this.#pace.stop();
  }

  /** What a stream says of itself passes what its calls say. */
  #ahead(write: (frame: AnswerFrameWriter) => boolean): void {
    this.#control.push(write);
    this.#pace.wanted();
  }

  #fill(): Buffer | undefined {
    while (this.#control[0]?.(this.#frame) === true) this.#control.shift();
    while (this.#first !== undefined && this.#takeTurn(this.#first));
    return this.#frame.isEmpty ? undefined : this.#frame.take();
  }

  /** False: the frame is full, and the call goes on in the next. */
  #takeTurn(call: OutgoingCall): boolean {
    if (!call.hasTurn) {
      call.hasTurn = true;
      call.deficit += QUANTUM;
    }
    while (call.isReady && call.deficit > 0) {
      const size = this.#fragment(call);
      if (size === 0) return false;
      call.deficit -= size;
    }
    call.hasTurn = false;
    this.#unlistFirst();
    if (call.isReady) this.#list(call);
    // What an idle call did not use is not saved up; what it took too much it still owes.
    else call.deficit = Math.min(0, call.deficit);
    return true;
  }

  /** Bytes written for the call's next fragment; 0: there is no room for it. */
  #fragment(call: OutgoingCall): number {
    const frame = this.#frame;
    const before = frame.size;
    let bytes = Math.min(call.sendable, call.deficit);
    let head = call.headFor(bytes);
    const room = frame.dataRoom(head);
    if (room < bytes) {
      // Cut shorter it no longer ends anything, so its head is smaller.
      if (room < CUT_BYTES_MIN) return 0;
      bytes = room;
      head = call.headFor(bytes);
    }
    const { bytes: source, from } = call.source;
    if (!frame.fragment(head, source, from, from + bytes)) return 0;
    call.sent(head, bytes);
    return frame.size - before;
  }

  #list(call: OutgoingCall): void {
    if (!call.isListed) {
      call.isListed = true;
      if (this.#last === undefined) this.#first = call;
      else this.#last.next = call;
      this.#last = call;
    }
    this.#pace.wanted();
  }

  #unlistFirst(): void {
    const call = this.#first as OutgoingCall;
    this.#first = call.next;
    if (this.#first === undefined) this.#last = undefined;
    call.next = undefined;
    call.isListed = false;
  }
}
