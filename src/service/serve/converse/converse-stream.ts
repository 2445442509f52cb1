import { Fault } from "../../../fault/fault.ts";
import { faultFromUnknown } from "../../../fault/fault-from-unknown.ts";
import { type CallFrame, CallFrameReader, type PackedCall } from "../../../wire/converse/call-frame.ts";
import { FairWriter } from "../../../wire/converse/fair-writer.ts";
import { unknownMethodStatus } from "../../../wire/converse/fragment-status.ts";
import { CALL_ID_MAX, FRAME_BYTES_MAX } from "../../../wire/converse/limits.ts";
import type { OutgoingCall } from "../../../wire/converse/outgoing-call.ts";
import { StreamPulse } from "../../../wire/converse/stream-pulse.ts";
import type { CallPeer } from "../../define-service.ts";
import type { ActiveCall } from "../active-calls.ts";
import { answerCall, type CallHost } from "../answer-call.ts";
import type { ServedMethod } from "../served-method.ts";
import { CallDeadlines } from "./call-deadlines.ts";
import type { CallQueue } from "./call-queue.ts";
import { ConverseCall } from "./converse-call.ts";
import type { UnsentBytes } from "./unsent-bytes.ts";

/** What the streams of a process share. */
export interface ConverseHost<State> {
  readonly host: CallHost<State>;
  /** By path, `/package.Service/Method`. */
  readonly methods: ReadonlyMap<string, ServedMethod<State>>;
  readonly pod: string;
  readonly instance: string;
  readonly unsent: UnsentBytes;
  readonly queue: CallQueue;
  readonly atEndOfTurn: (work: () => void) => void;
}

/** The gRPC stream below. */
export interface ConverseSink {
  /** False: it is full until `drained`. */
  write(frame: Buffer): boolean;
  /** Whether frames are read; until then they wait at the gateway. */
  read(isWanted: boolean): void;
  /** Ends it well, or with what went wrong. */
  end(fault: Fault | undefined): void;
  /** Told when a call has been answered. */
  answered(): void;
}

/** Calls of one stream that are under way or wait to be sent: half of what a process takes, so no gateway takes all. */
const CALLS_MAX = 512;
/** Refusals that wait to be sent: beyond it nothing is read until the gateway has taken half of them. */
const REFUSALS_MAX = 1024;

/** The service's side of one packed stream, whatever carries it. */
export class ConverseStream<State> {
  readonly #shared: ConverseHost<State>;
  readonly #peer: CallPeer;
  readonly #sink: ConverseSink;
  readonly #reader = new CallFrameReader();
  readonly #writer: FairWriter;
  readonly #pulse: StreamPulse;
  readonly #deadlines: CallDeadlines;
  readonly #unsent: UnsentBytes;
  readonly #calls = new Map<number, ConverseCall>();
  #lastId = 0;
  #refusals = 0;
  #isReading = true;
  #isHalfClosed = false;
  #isOver = false;

  constructor(shared: ConverseHost<State>, peer: CallPeer, sink: ConverseSink) {
    const { clock, table } = shared.host;
    this.#shared = shared;
    this.#peer = peer;
    this.#sink = sink;
    this.#unsent = shared.unsent.share();
    this.#writer = new FairWriter({
      atEndOfTurn: shared.atEndOfTurn,
      unsent: (bytes) => this.#unsent.add(bytes),
      over: (call) => this.#over(call),
      write: (frame) => {
        this.#pulse.sent();
        return sink.write(frame);
      },
    });
    this.#pulse = new StreamPulse({
      clock,
      beat: (sequence) => this.#writer.heartbeat(sequence),
      silent: () => this.end(new Fault("shard-unavailable", "the gateway has been silent for too long")),
    });
    this.#deadlines = new CallDeadlines(clock, (id) => this.#calls.get(id)?.expire());
    const bound = table.bindings().map(({ stampBytes }) => stampBytes);
    this.#writer.hello(shared.pod, shared.instance, bound);
    // Before anything that the gateway may have sent already is answered.
    this.#writer.flush();
  }

  /** Calls that are under way or wait to be sent. */
  get calls(): number {
    return this.#calls.size;
  }

  /** A frame has come. */
  receive(bytes: Buffer): void {
    if (this.#isOver) return;
    this.#pulse.heard();
    try {
      this.#take(this.#read(bytes));
    } catch (error) {
      this.end(faultFromUnknown(error, "read a frame"));
    }
  }

  /** The gateway sends nothing more; what is under way is answered. */
  halfClosed(): void {
    this.#isHalfClosed = true;
    this.#pulse.stop();
    this.#endIfAnswered();
  }

  drained(): void {
    this.#writer.drained();
  }

  /** Asks the gateway for another stream. */
  drain(graceMs: number): void {
    if (!this.#isOver) this.#writer.drain(graceMs);
  }

  /** Ends the stream: well, or with a fault; calls under way are given up. */
  end(fault: Fault | undefined): void {
    if (this.#isOver) return;
    this.broken("the stream has ended");
    this.#sink.end(fault);
  }

  /** There is no stream any more. */
  broken(reason: string): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#pulse.stop();
    this.#deadlines.stop();
    this.#writer.stop();
    for (const call of this.#calls.values()) call.cancel(reason);
    this.#calls.clear();
    this.#sink.answered();
  }

  #read(bytes: Buffer): CallFrame {
    if (bytes.length > FRAME_BYTES_MAX) {
      throw new Fault("malformed-request", `read a frame: ${bytes.length} bytes are more than ${FRAME_BYTES_MAX}`);
    }
    return this.#reader.read(bytes);
  }

  #take({ calls, cancelled, credits }: CallFrame): void {
    const arrivedAt = this.#shared.host.clock.monotonic();
    for (const call of calls) this.#arrived(call, arrivedAt);
    for (const id of cancelled) this.#cancelled(id);
    for (const { id, bytes } of credits) this.#calls.get(id)?.grant(bytes);
  }

  /** Faults end the stream; what is wrong with the call itself is its own status. */
  #arrived(packed: PackedCall, arrivedAt: number): void {
    const { id } = packed;
    if (id <= this.#lastId || id > CALL_ID_MAX) {
      throw new Fault("malformed-request", `read a call: its id ${id} does not follow ${this.#lastId}`);
    }
    this.#lastId = id;
    const { host, methods, queue } = this.#shared;
    const out = this.#writer.open(id);
    const method = methods.get(packed.method);
    if (method === undefined) {
      this.#refuse(() => out.fail(unknownMethodStatus(packed.method)));
      return;
    }
    const active = this.#admit(packed, method.name);
    const isStreaming = method.plan.method.methodKind === "server_streaming";
    const call = new ConverseCall({
      packed,
      out,
      peer: this.#peer,
      arrivedAt,
      unsent: this.#unsent,
      isStreaming,
      active,
      method: method.name,
    });
    if (active instanceof Fault) {
      this.#refuse(() => void answerCall(host, method, call));
      return;
    }
    this.#calls.set(id, call);
    this.#deadlines.add(id, arrivedAt + packed.remainingUs / 1000);
    queue.push(() => void answerCall(host, method, call));
  }

  #admit(packed: PackedCall, method: string): ActiveCall | Fault {
    const { host } = this.#shared;
    try {
      if (packed.remainingUs === 0) throw new Fault("deadline-exceeded", `${method}: no time is left`);
      if (this.#calls.size >= CALLS_MAX) {
        throw new Fault("overloaded", `${this.#calls.size} calls of this stream are under way`, { retryAfterMs: 100 });
      }
      return host.calls.begin();
    } catch (error) {
      return faultFromUnknown(error, method);
    }
  }

  /** A gateway that sends and never reads must not fill the memory with refusals. */
  #refuse(answer: () => void): void {
    this.#refusals++;
    if (this.#refusals > REFUSALS_MAX) this.#wantReading(false);
    answer();
  }

  #cancelled(id: number): void {
    const call = this.#calls.get(id);
    if (call === undefined) return;
    call.cancel("the gateway no longer wants it");
    this.#forget(id);
  }

  #over({ id }: OutgoingCall): void {
    if (this.#calls.has(id)) {
      this.#forget(id);
      return;
    }
    this.#refusals--;
    if (this.#refusals < REFUSALS_MAX / 2) this.#wantReading(true);
    this.#endIfAnswered();
  }

  #forget(id: number): void {
    this.#calls.delete(id);
    this.#deadlines.remove(id);
    this.#sink.answered();
    this.#endIfAnswered();
  }

  #endIfAnswered(): void {
    if (!this.#isHalfClosed || this.#calls.size > 0 || this.#refusals > 0) return;
    // Once what has just been packed is written.
    this.#shared.atEndOfTurn(() => this.end(undefined));
  }

  #wantReading(isWanted: boolean): void {
    if (this.#isReading === isWanted) return;
    this.#isReading = isWanted;
    this.#sink.read(isWanted);
  }
}
