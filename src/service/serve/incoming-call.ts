import type { Fault } from "../../fault/fault.ts";
import type { FragmentTiming } from "../../wire/converse/fragment.ts";
import type { PartialFormat } from "../../wire/generated/skynetes/v1/shard_pb.ts";
import type { TopBounds } from "../../wire/generated/skynetes/v1/stamp_pb.ts";
import type { CallPeer, CallTransport } from "../define-service.ts";
import type { ActiveCall } from "./active-calls.ts";
import type { CallRoute } from "./call-route.ts";

/**
 * A call as its transport brings it, and what the transport can do with the answer. What is decided about a call is
 * decided in `answer-call.ts`, once for all transports.
 */
export interface IncomingCall {
  readonly transport: CallTransport;
  readonly peer: CallPeer;
  /** Well-formed, or absent. */
  readonly traceparent: string | undefined;
  /** What the caller reads besides the response message. */
  readonly accept: PartialFormat;
  /** The transport sends a partial as one piece. */
  readonly isWhole: boolean;
  /** In the clock's monotonic time. */
  readonly arrivedAt: number;
  /** The method's request message. */
  readonly request: Uint8Array;
  /** Counts it among the calls under way. Faults: `overloaded`, `not-ready`, `deadline-exceeded`. */
  begin(): ActiveCall;
  /** Faults as `callRoute` has them. */
  route(): CallRoute;
  /** Before the handler runs, so that no byte of the partial comes before it. */
  stamp(stamp: Buffer): void;
  /**
   * The partial, or a message of a streaming method, in pieces that stay as they are. False: the caller has not taken
   * enough of what was sent.
   */
  send(pieces: readonly Uint8Array[], format: PartialFormat): boolean;
  /** Resolves when `send` may go on; rejects with the signal's reason. */
  room(signal: AbortSignal): Promise<void>;
  /** All was sent. */
  end(bounds: TopBounds | undefined, timing: FragmentTiming): void;
  fail(fault: Fault, timing: FragmentTiming): void;
}
