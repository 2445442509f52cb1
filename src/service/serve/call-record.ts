import type { status } from "@grpc/grpc-js";
import { CATALOG, type FaultId } from "../../fault/fault-catalog.ts";
import type { Clock } from "../../process/clock.ts";
import type { FragmentTiming } from "../../wire/converse/fragment.ts";
import type { CallTransport } from "../define-service.ts";
import type { CallRoute } from "./call-route.ts";
import type { IncomingCall } from "./incoming-call.ts";

/** A line of the access log: what a mesh would have seen of the call, had it come alone. */
export interface AccessEntry {
  /** Milliseconds since the Unix epoch, when the call ended. */
  readonly time: number;
  readonly transport: CallTransport;
  /** `package.Service/Method`. */
  readonly method: string;
  /** Absent when the call did not say, or not in a way that can be read. */
  readonly shard: number | undefined;
  readonly snapshot: string | undefined;
  /** Of gRPC. */
  readonly code: keyof typeof status;
  readonly fault: FaultId | undefined;
  /** Of the partial. */
  readonly bytes: number;
  readonly messages: number;
  readonly queueUs: number;
  readonly serviceUs: number;
  readonly peer: string;
  /** Of the trace that the call is part of. */
  readonly traceId: string | undefined;
}

/** What happens to one call, written down as it happens: for its step, its timing and the access log. */
export class CallRecord {
  /** Facts of the call's step. */
  readonly facts: Record<string, string | number | boolean>;
  readonly #clock: Clock;
  readonly #call: IncomingCall;
  readonly #method: string;
  #route: CallRoute | undefined;
  #beganAt: number | undefined;
  #fault: FaultId | undefined;
  #bytes = 0;
  #messages = 0;

  constructor(clock: Clock, call: IncomingCall, method: string) {
    this.#clock = clock;
    this.#call = call;
    this.#method = method;
    const { transport, traceparent } = call;
    // With the caller's trace context, so that its spans and these are one trace.
    this.facts = { method, transport, ...(traceparent === undefined ? {} : { traceparent }) };
  }

  routed(route: CallRoute): void {
    this.#route = route;
    this.facts.shard = route.shard;
    this.facts.snapshot = route.snapshot;
  }

  /** The handler is about to run. */
  began(): void {
    this.#beganAt = this.#clock.monotonic();
  }

  sent(bytes: number): void {
    this.#bytes += bytes;
    this.#messages++;
  }

  failed(fault: FaultId): void {
    this.#fault = fault;
    this.facts.fault = fault;
  }

  /** As of now. */
  timing(): FragmentTiming {
    const now = this.#clock.monotonic();
    const beganAt = this.#beganAt ?? now;
    return { queueUs: microseconds(beganAt - this.#call.arrivedAt), serviceUs: microseconds(now - beganAt) };
  }

  entry(): AccessEntry {
    return {
      time: this.#clock.now(),
      transport: this.#call.transport,
      method: this.#method,
      shard: this.#route?.shard,
      snapshot: this.#route?.snapshot,
      code: this.#fault === undefined ? "OK" : CATALOG[this.#fault].code,
      fault: this.#fault,
      bytes: this.#bytes,
      messages: this.#messages,
      ...this.timing(),
      peer: this.#call.peer.address,
      traceId: this.#call.traceparent?.split("-")[1],
    };
  }
}

function microseconds(ms: number): number {
  return Math.max(0, Math.round(ms * 1000));
}
