import { status } from "@grpc/grpc-js";
import type { Randomness } from "../../../process/clock.ts";
import { STREAM_AGE_MS, STREAM_AGE_SPREAD } from "../../../wire/converse/limits.ts";
import { ConverseStream, type StreamOwner, type StreamParts } from "./converse-stream.ts";
import type { OpenPipe } from "./frame-pipe.ts";
import type { StreamCall } from "./stream-call.ts";
import { type LostStream, lostCallFault, type StreamLoss } from "./stream-loss.ts";

/** After a stream could not be opened; the last for all that follow. The connection below backs off on its own. */
const BACKOFF_MS = [50, 100, 200];
const BACKOFF_SPREAD = 0.2;
/** A stream that nobody has used for so long is not replaced: it may be of a version that is no more. */
const UNUSED_MS = 60_000;
/** One that lived shorter is not replaced before somebody calls: a service that drains may say so to each new one. */
const LIVED_MS = 1_000;

export interface SlotParts extends StreamParts {
  readonly kind: "stream" | "bulk";
  readonly randomness: Randomness;
  /** `anew`: over a connection that is not there yet. */
  readonly open: (anew: boolean) => OpenPipe;
  /** Nobody speaks Converse there. */
  readonly unspoken: (calls: readonly StreamCall[]) => void;
  /** The route table no longer names the address: a stream ends with its calls. */
  readonly isUnwanted: () => boolean;
}

/** The one stream of its kind that a pod's calls go by, and those that it has replaced. */
export class StreamSlot {
  readonly #parts: SlotParts;
  readonly #all = new Set<ConverseStream>();
  #current: ConverseStream | undefined;
  #failures = 0;
  #retryAt = Number.NEGATIVE_INFINITY;
  #why: LostStream | undefined;
  #usedAt = Number.NEGATIVE_INFINITY;
  #mustConnectAnew = false;

  constructor(parts: SlotParts) {
    this.#parts = parts;
  }

  get isEmpty(): boolean {
    return this.#all.size === 0;
  }

  /** By the stream that is there, or a new one. After one that could not be opened calls fail at once for a while. */
  send(call: StreamCall): void {
    const now = this.#parts.clock.monotonic();
    this.#usedAt = now;
    if (this.#current === undefined && this.#why !== undefined && now < this.#retryAt) {
      call.fail(lostCallFault(this.#why, call.terms.call));
      return;
    }
    this.#current ??= this.#openCurrent();
    const stream = this.#current;
    stream.send(call);
    if (!this.#parts.isUnwanted()) return;
    this.#current = undefined;
    stream.retire();
  }

  /** What is there takes no new calls. */
  retire(): void {
    this.#current = undefined;
    for (const stream of [...this.#all]) stream.retire();
  }

  lose(loss: StreamLoss, because: string): void {
    for (const stream of [...this.#all]) stream.lose(loss, because);
  }

  /** A stream of which only its owner knows. */
  openBeside(owner: StreamOwner): ConverseStream {
    return this.#open(STREAM_AGE_MS, owner);
  }

  #openCurrent(): ConverseStream {
    const { clock, randomness, unspoken } = this.#parts;
    const openedAt = clock.monotonic();
    const stream: ConverseStream = this.#open(spread(STREAM_AGE_MS, STREAM_AGE_SPREAD, randomness), {
      opened: () => {
        this.#failures = 0;
      },
      retired: () => {
        if (this.#current !== stream) return;
        const now = clock.monotonic();
        const isWanted = now - this.#usedAt < UNUSED_MS && now - openedAt >= LIVED_MS;
        this.#current = isWanted ? this.#openCurrent() : undefined;
      },
      closed: (lost, calls) => {
        if (this.#current === stream) this.#current = undefined;
        if (lost === undefined) return;
        // What is silent may be half open, and so may be all that goes over its connection.
        if (lost.loss === "silent") this.#mustConnectAnew = true;
        if (!lost.wasOpen) this.#backOff(lost);
        if (!lost.wasOpen && lost.error?.code === status.UNIMPLEMENTED) return unspoken(calls);
        for (const call of calls) call.fail(lostCallFault(lost, call.terms.call));
      },
    });
    return stream;
  }

  #open(ageMs: number, owner: StreamOwner): ConverseStream {
    const pipe = this.#parts.open(this.#mustConnectAnew);
    this.#mustConnectAnew = false;
    const closed: StreamOwner["closed"] = (lost, calls) => {
      this.#all.delete(stream);
      owner.closed(lost, calls);
    };
    const stream: ConverseStream = new ConverseStream(this.#parts, { ...owner, closed }, this.#parts.kind, ageMs, pipe);
    this.#all.add(stream);
    return stream;
  }

  #backOff(lost: LostStream): void {
    const { clock, randomness } = this.#parts;
    const wait = BACKOFF_MS[Math.min(this.#failures, BACKOFF_MS.length - 1)] as number;
    this.#failures++;
    this.#retryAt = clock.monotonic() + spread(wait, BACKOFF_SPREAD, randomness);
    this.#why = lost;
  }
}

function spread(ms: number, share: number, randomness: Randomness): number {
  return ms * (1 + share * (2 * randomness.unit() - 1));
}
