import { Fault } from "../../../fault/fault.ts";
import { parseTraceparent } from "../../../telemetry/trace-context.ts";
import type { PackedCall } from "../../../wire/converse/call-frame.ts";
import type { FragmentTiming } from "../../../wire/converse/fragment.ts";
import { fragmentStatus, OK_STATUS } from "../../../wire/converse/fragment-status.ts";
import type { OutgoingCall } from "../../../wire/converse/outgoing-call.ts";
import type { PartialFormat } from "../../../wire/generated/skynetes/v1/shard_pb.ts";
import type { TopBounds } from "../../../wire/generated/skynetes/v1/stamp_pb.ts";
import { writeTopBounds } from "../../../wire/top-bounds.ts";
import type { CallPeer } from "../../define-service.ts";
import type { ActiveCall } from "../active-calls.ts";
import { type CallRoute, packedRoute } from "../call-route.ts";
import type { IncomingCall } from "../incoming-call.ts";
import type { UnsentBytes } from "./unsent-bytes.ts";

/** A handler of a streaming method goes on while less than this waits to be sent for its call. */
const AHEAD_BYTES = 32 * 1024;
/** Bounds must fit beside all else in a frame. Without them the gateway asks for all groups. */
const BOUNDS_BYTES_MAX = 16 * 1024;

export interface ConverseCallParts {
  readonly packed: PackedCall;
  readonly out: OutgoingCall;
  readonly peer: CallPeer;
  readonly arrivedAt: number;
  readonly unsent: UnsentBytes;
  /** Whether each `send` is a message of its own. */
  readonly isStreaming: boolean;
  /** Admitted as it arrived, or the fault that refuses it. */
  readonly active: ActiveCall | Fault;
  /** `package.Service/Method`. */
  readonly method: string;
}

/** A call in a packed stream. */
export class ConverseCall implements IncomingCall {
  readonly transport = "converse";
  readonly isWhole = false;
  readonly #parts: ConverseCallParts;

  constructor(parts: ConverseCallParts) {
    this.#parts = parts;
  }

  get id(): number {
    return this.#parts.out.id;
  }

  get peer(): CallPeer {
    return this.#parts.peer;
  }

  get traceparent(): string | undefined {
    return parseTraceparent(this.#parts.packed.traceparent);
  }

  get accept(): PartialFormat {
    return this.#parts.packed.accept;
  }

  get arrivedAt(): number {
    return this.#parts.arrivedAt;
  }

  get request(): Uint8Array {
    return this.#parts.packed.request;
  }

  begin(): ActiveCall {
    const { active, unsent } = this.#parts;
    if (active instanceof Fault) throw active;
    try {
      unsent.assertTaken();
    } catch (error) {
      active.end();
      throw error;
    }
    return active;
  }

  route(): CallRoute {
    return packedRoute(this.#parts.packed.shard, this.#parts.packed.snapshot);
  }

  stamp(stamp: Buffer): void {
    this.#parts.out.stamp(stamp);
  }

  send(pieces: readonly Uint8Array[], format: PartialFormat): boolean {
    const { out, unsent, isStreaming } = this.#parts;
    let bytes = 0;
    for (const piece of pieces) bytes += piece.length;
    unsent.assertRoom(bytes);
    out.format(format);
    if (!isStreaming) out.announce(bytes);
    const last = pieces.length - 1;
    for (let at = 0; at <= last; at++) out.data(pieces[at]!, isStreaming && at === last);
    return out.unsentBytes < AHEAD_BYTES;
  }

  room(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      const aborted = () => reject(signal.reason);
      signal.addEventListener("abort", aborted, { once: true });
      this.#parts.out.whenBelow(AHEAD_BYTES, () => {
        signal.removeEventListener("abort", aborted);
        resolve();
      });
    });
  }

  end(bounds: TopBounds | undefined, timing: FragmentTiming): void {
    const bytes = bounds === undefined ? undefined : writeTopBounds(bounds);
    const fitting = bytes !== undefined && bytes.length <= BOUNDS_BYTES_MAX ? bytes : undefined;
    this.#parts.out.end({ status: OK_STATUS, bounds: fitting, timing });
  }

  fail(fault: Fault, timing?: FragmentTiming): void {
    this.#parts.out.fail(fragmentStatus(fault), timing);
  }

  grant(bytes: number): void {
    this.#parts.out.grant(bytes);
  }

  /** Nobody waits for it. */
  cancel(reason: string): void {
    this.#parts.out.drop();
    this.#abort(new DOMException(reason, "AbortError"));
  }

  /** Its deadline has passed: the gateway is told at once, whatever the handler does. */
  expire(): void {
    this.fail(new Fault("deadline-exceeded", `${this.#parts.method}: deadline exceeded`));
    this.#abort(new DOMException("the deadline has passed", "TimeoutError"));
  }

  #abort(reason: DOMException): void {
    const { active } = this.#parts;
    if (!(active instanceof Fault)) active.cancel(reason);
  }
}
