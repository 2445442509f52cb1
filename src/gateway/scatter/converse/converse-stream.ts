import type { ServiceError } from "@grpc/grpc-js";
import type { Clock } from "../../../process/clock.ts";
import { type AnswerFrame, AnswerFrameReader, type Hello } from "../../../wire/converse/answer-frame.ts";
import type { CallFrameWriter } from "../../../wire/converse/call-frame.ts";
import type { Fragment } from "../../../wire/converse/fragment.ts";
import { FramePace } from "../../../wire/converse/frame-pace.ts";
import { SILENCE_MAX_MS } from "../../../wire/converse/limits.ts";
import { StreamPulse } from "../../../wire/converse/stream-pulse.ts";
import type { TransportKind } from "../shard-transport.ts";
import { CallDeadlines } from "./call-deadlines.ts";
import type { FramePipe, OpenPipe, PipeListener } from "./frame-pipe.ts";
import { KnownStamps } from "./known-stamps.ts";
import type { CallHome, SentFrame, StreamCall } from "./stream-call.ts";
import type { StreamCounts } from "./stream-counts.ts";
import type { LostStream, StreamLoss } from "./stream-loss.ts";
import type { TurnEnd } from "./turn-end.ts";

/** What all streams of a gateway share. */
export interface StreamParts {
  readonly clock: Clock;
  readonly turnEnd: TurnEnd;
  /** One for all: a frame is written whole before another begins. */
  readonly writer: CallFrameWriter;
  readonly counts: StreamCounts;
}

export interface StreamOwner {
  opened(hello: Hello): void;
  /** It takes no new calls from now on; those that it has will be answered. */
  retired(): void;
  /** It is no more; `calls` were on it. Undefined: it ended as it should. */
  closed(lost: LostStream | undefined, calls: readonly StreamCall[]): void;
}

/** One stream to one pod, as proto/skynetes/v1/shard.proto has it. */
export class ConverseStream implements PipeListener, CallHome {
  readonly kind: TransportKind;
  readonly stamps = new KnownStamps();
  pod = "";
  readonly #parts: StreamParts;
  readonly #owner: StreamOwner;
  readonly #pipe: FramePipe;
  readonly #pace: FramePace;
  readonly #pulse: StreamPulse;
  readonly #deadlines: CallDeadlines;
  readonly #reader = new AnswerFrameReader();
  /** Sent and not ended. */
  readonly #calls = new Map<number, StreamCall>();
  #waiting: StreamCall[] = [];
  /** Of the first that waits. */
  #at = 0;
  readonly #cancelled: number[] = [];
  readonly #credits = new Map<number, number>();
  /** To be sent; 0: none. */
  #heartbeat = 0;
  #state: "opening" | "open" | "ending" | "closed" = "opening";
  #isRetired = false;
  #lastId = 0;
  #frame: SentFrame = { calls: 0 };
  #cancelTimer: () => void;

  constructor(parts: StreamParts, owner: StreamOwner, kind: TransportKind, ageMs: number, open: OpenPipe) {
    const { clock } = parts;
    this.#parts = parts;
    this.#owner = owner;
    this.kind = kind;
    this.#pipe = open(this);
    this.#pace = new FramePace({
      fill: () => this.#fill(),
      write: (frame) => this.#write(frame),
      atEndOfTurn: parts.turnEnd.run,
    });
    this.#pulse = new StreamPulse({
      clock,
      beat: (sequence) => {
        this.#heartbeat = sequence;
        this.#wanted();
      },
      silent: () => this.lose("silent", `the stream has been silent for ${SILENCE_MAX_MS} ms`),
    });
    this.#deadlines = new CallDeadlines(clock, (now) => this.#endLateCalls(now));
    this.#cancelTimer = clock.after(ageMs, () => this.#replace());
    parts.counts.open++;
  }

  /** Sent with what else this turn brings, once there was a hello. */
  send(call: StreamCall): void {
    call.home = this;
    this.#waiting.push(call);
    this.#deadlines.add(call.terms.deadline);
    this.#wanted();
  }

  /** Takes no new calls, and ends with the last it has. */
  retire(): void {
    this.#isRetired = true;
    this.#endWhenDone();
  }

  lose(loss: StreamLoss, because: string, error?: ServiceError): void {
    if (this.#state === "closed") return;
    const wasOpen = this.#state !== "opening";
    const calls = this.#allCalls();
    this.#close();
    this.#pipe.cancel();
    if (loss !== "closed") this.#parts.counts.countLoss(loss);
    // First the owner: whoever hears of a call's fault and asks anew finds it ready.
    this.#owner.closed({ loss, because, error, wasOpen }, calls);
  }

  grant(call: StreamCall, bytes: number): void {
    this.#credits.set(call.id, (this.#credits.get(call.id) ?? 0) + bytes);
    this.#wanted();
  }

  ended(call: StreamCall, unheard: boolean): void {
    // One that waits is passed over when its turn comes.
    if (this.#state === "closed" || !this.#calls.delete(call.id)) return;
    this.#credits.delete(call.id);
    if (unheard) this.#cancelled.push(call.id);
    if (unheard || this.#isRetired) this.#wanted();
  }

  frame(bytes: Buffer): void {
    if (this.#state === "closed") return;
    this.#parts.counts.framesReceived++;
    this.#pulse.heard();
    let frame: AnswerFrame;
    try {
      frame = this.#reader.read(bytes);
    } catch (error) {
      this.lose("unreadable", `the stream brought what is no frame: ${(error as Error).message}`);
      return;
    }
    const wrong = this.#greeted(frame.hello) ?? this.#answered(frame.fragments);
    if (wrong !== undefined) this.lose("disorder", wrong);
    else if (frame.drain !== undefined) this.#replace();
  }

  room(): void {
    this.#pace.drained();
  }

  /** The other side has ended it. */
  gone(error: ServiceError | undefined): void {
    const because = error === undefined ? "" : `: ${error.details}`;
    if (this.#state === "ending") this.#closeWell();
    else if (this.#state === "opening") this.lose("refused", `the stream was not opened${because}`, error);
    else this.lose("ended", `the service ended the stream${because}`, error);
  }

  /** Returns what is wrong. */
  #greeted(hello: Hello | undefined): string | undefined {
    if (this.#state === "opening") {
      if (hello === undefined) return "the stream began without a hello";
      this.#state = "open";
      this.pod = hello.pod;
      this.#owner.opened(hello);
      this.#wanted();
    } else if (hello !== undefined) return "the stream said hello twice";
    return undefined;
  }

  #answered(fragments: readonly Fragment[]): string | undefined {
    for (const fragment of fragments) {
      if (fragment.id === 0 || fragment.id > this.#lastId) return `call ${fragment.id} was answered and never sent`;
      // Of a call that has ended nothing is left to say.
      this.#calls.get(fragment.id)?.take(fragment);
    }
    return undefined;
  }

  #wanted(): void {
    if (this.#state === "open") this.#pace.wanted();
  }

  /** The next frame: what stops or feeds calls before new ones. */
  #fill(): Buffer | undefined {
    const { writer, clock, counts } = this.#parts;
    if (this.#heartbeat !== 0 && writer.heartbeat(this.#heartbeat)) this.#heartbeat = 0;
    for (let id = this.#cancelled.at(-1); id !== undefined; id = this.#cancelled.at(-1)) {
      if (!writer.cancel(id)) return writer.take();
      this.#cancelled.pop();
    }
    for (const [id, bytes] of this.#credits) {
      if (!writer.credit(id, bytes)) return writer.take();
      this.#credits.delete(id);
    }
    this.#frame = { calls: 0 };
    const now = clock.monotonic();
    for (; this.#at < this.#waiting.length; this.#at++) {
      const call = this.#waiting[this.#at] as StreamCall;
      if (call.ended) continue;
      const remainingUs = Math.min(Number.MAX_SAFE_INTEGER, Math.floor((call.terms.deadline - now) * 1000));
      if (remainingUs <= 0) {
        call.tooLate();
        continue;
      }
      const { shard, snapshot, path: method, request, traceparent = "", accept = 0 } = call.terms.call;
      const id = this.#lastId + 1;
      const packed = { id, shard, snapshot, method, remainingUs, request, traceparent, accept };
      if (!writer.call(packed)) return writer.take();
      this.#lastId = id;
      this.#calls.set(id, call);
      call.id = id;
      call.frame = this.#frame;
      this.#frame.calls++;
      counts.callsSent++;
    }
    if (this.#at > 0) this.#waiting = [];
    this.#at = 0;
    if (!writer.isEmpty) return writer.take();
    this.#endWhenDone();
    return undefined;
  }

  #write(frame: Buffer): boolean {
    this.#parts.counts.framesSent++;
    this.#pulse.sent();
    return this.#pipe.write(frame);
  }

  /** Drained by the service, or old. */
  #replace(): void {
    if (this.#isRetired || this.#state === "closed") return;
    // The new one first, and what the owner does of it last: nobody is to find this one in use.
    this.#owner.retired();
    this.retire();
  }

  #endWhenDone(): void {
    const isIdle = this.#calls.size === 0 && this.#at === this.#waiting.length && this.#cancelled.length === 0;
    if (!this.#isRetired || !isIdle) return;
    if (this.#state === "opening") {
      this.#closeWell();
    } else if (this.#state === "open") {
      this.#state = "ending";
      this.#pace.stop();
      this.#pulse.stop();
      this.#pipe.end();
      // A service that does not end its side as well is not waited for.
      this.#cancelTimer();
      this.#cancelTimer = this.#parts.clock.after(SILENCE_MAX_MS, () => this.#closeWell());
    }
  }

  #closeWell(): void {
    this.#close();
    this.#pipe.cancel();
    this.#owner.closed(undefined, []);
  }

  #close(): void {
    this.#state = "closed";
    this.#pace.stop();
    this.#pulse.stop();
    this.#deadlines.stop();
    this.#cancelTimer();
    this.#calls.clear();
    this.#waiting = [];
    this.#at = 0;
    this.#parts.counts.open--;
  }

  #allCalls(): StreamCall[] {
    return [...this.#calls.values(), ...this.#waiting.slice(this.#at)].filter((call) => !call.ended);
  }

  /** Returns the earliest deadline that is left. */
  #endLateCalls(now: number): number {
    let next = Number.POSITIVE_INFINITY;
    for (const call of this.#allCalls()) {
      if (call.terms.deadline <= now) call.tooLate();
      else next = Math.min(next, call.terms.deadline);
    }
    // A stream that takes nothing must not keep what was given up.
    this.#waiting = this.#waiting.slice(this.#at).filter((call) => !call.ended);
    this.#at = 0;
    this.#endWhenDone();
    return next;
  }
}
