import { toBinary } from "@bufbuild/protobuf";
import { Metadata, type ServerUnaryCall, type ServerWritableStream } from "@grpc/grpc-js";
import type { Fault } from "../../fault/fault.ts";
import { BOUNDS_HEADER, PARTIAL_FORMAT_HEADER, STAMP_HEADER } from "../../mesh/route-headers.ts";
import { parseTraceparent } from "../../telemetry/trace-context.ts";
import { statusFromFault } from "../../wire/fault-status.ts";
import { type TopBounds, TopBoundsSchema } from "../../wire/generated/skynetes/v1/stamp_pb.ts";
import { partialFormatName, partialFormatOf } from "../../wire/partial-format.ts";
import type { CallPeer, CallTransport } from "../define-service.ts";
import type { ActiveCall } from "./active-calls.ts";
import { answerCall, type CallHost } from "./answer-call.ts";
import { callRoute } from "./call-route.ts";
import type { IncomingCall } from "./incoming-call.ts";
import type { ServedMethod } from "./served-method.ts";

type Unary = ServerUnaryCall<Buffer, Uint8Array>;
type Streaming = ServerWritableStream<Buffer, Uint8Array>;
type UnaryReply = (error: unknown, value?: Uint8Array | null, trailer?: Metadata) => void;

/** A unary method on its own gRPC path. */
export function unaryCall<State>(host: CallHost<State>, method: ServedMethod<State>) {
  return (call: Unary, reply: UnaryReply): Promise<void> => {
    let partial: Uint8Array | undefined;
    const trailer = new Metadata();
    return answerCall(host, method, {
      ...callOf(host, call, "unary"),
      send([whole], format) {
        partial = whole;
        const name = partialFormatName(format);
        if (name !== undefined) trailer.set(PARTIAL_FORMAT_HEADER, name);
        return true;
      },
      room: () => Promise.resolve(),
      end(bounds: TopBounds | undefined) {
        if (bounds !== undefined) trailer.set(BOUNDS_HEADER, Buffer.from(toBinary(TopBoundsSchema, bounds)));
        reply(null, partial, trailer);
      },
      fail: (fault: Fault) => reply(statusFromFault(fault)),
    });
  };
}

/** A streaming method on its own gRPC path. */
export function streamingCall<State>(host: CallHost<State>, method: ServedMethod<State>) {
  return (call: Streaming): Promise<void> => {
    // Writing to a caller that has gone away fails; the abort signal tells so already.
    call.on("error", () => {});
    return answerCall(host, method, {
      ...callOf(host, call, "streaming"),
      send: ([message]) => call.write(message as Uint8Array),
      room: (signal) => drained(call, signal),
      end: () => void call.end(),
      fail: (fault: Fault) => void call.emit("error", statusFromFault(fault)),
    });
  };
}

type Common = Omit<IncomingCall, "send" | "room" | "end" | "fail">;

function callOf<State>(host: CallHost<State>, call: Unary | Streaming, transport: CallTransport): Common {
  const { metadata } = call;
  return {
    transport,
    peer: isPeerAskedFor(host) ? peerOf(call) : NO_PEER,
    traceparent: parseTraceparent(metadata.get("traceparent")[0]?.toString()),
    accept: partialFormatOf(metadata.get(PARTIAL_FORMAT_HEADER)[0]?.toString()),
    isWhole: true,
    arrivedAt: host.clock.monotonic(),
    request: call.request,
    begin(): ActiveCall {
      const active = host.calls.begin();
      const reason = "the caller went away or its deadline passed";
      call.on("cancelled", () => active.cancel(new DOMException(reason, "AbortError")));
      return active;
    },
    route: () => callRoute(metadata, host.own),
    stamp(stamp) {
      const initial = new Metadata();
      initial.set(STAMP_HEADER, stamp);
      // Before the handler runs: the caller checks the stamp before it reads the first byte of the partial.
      call.sendMetadata(initial);
    },
  };
}

/** Reading the address of a connection costs more than the rest of a small call's admission. */
function isPeerAskedFor<State>({ accessLog, authorize }: CallHost<State>): boolean {
  return accessLog !== undefined || authorize.length > 0;
}

const NO_PEER: CallPeer = { address: "", header: () => [] };

/** The address is asked for at once: a call that has ended no longer knows it. */
export function peerOf(call: { readonly metadata: Metadata; getPeer(): string }): CallPeer {
  return { address: call.getPeer(), header: (name) => call.metadata.get(name).map(String) };
}

function drained(call: Streaming, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const done = () => {
      call.off("drain", done);
      signal.removeEventListener("abort", done);
      if (signal.aborted) reject(signal.reason);
      else resolve();
    };
    if (signal.aborted) return done();
    call.on("drain", done);
    signal.addEventListener("abort", done, { once: true });
  });
}
