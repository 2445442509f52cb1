import { Metadata, type Server, type ServerDuplexStream, type StatusObject, status } from "@grpc/grpc-js";
import type { Fault } from "../../../fault/fault.ts";
import { faultFromUnknown } from "../../../fault/fault-from-unknown.ts";
import { CONVERSE_PATH } from "../../../wire/converse/limits.ts";
import { statusFromFault } from "../../../wire/fault-status.ts";
import { resetCall } from "../../../wire/reset-call.ts";
import { assertOwn } from "../call-route.ts";
import { peerOf } from "../grpc-call.ts";
import { type ConverseHost, type ConverseSink, ConverseStream } from "./converse-stream.ts";
import type { OpenStreams } from "./open-streams.ts";

type Duplex = ServerDuplexStream<Buffer, Buffer>;

/** Frames that grpc-js may hold besides the one that is being sent: what is packed later still has its turn. */
const FRAMES_AHEAD_MAX = 2;
/** For the status to leave; a peer that takes nothing is reset then. */
const FLUSH_MS = 1_000;

const asIs = (bytes: Buffer) => bytes;
const attempted = "serve a packed stream";

/** Adds ShardService/Converse to a server. */
export function addConverse<State>(server: Server, shared: ConverseHost<State>, streams: OpenStreams): void {
  const definition = {
    path: CONVERSE_PATH,
    requestStream: true,
    responseStream: true,
    requestSerialize: asIs,
    requestDeserialize: asIs,
    responseSerialize: asIs,
    responseDeserialize: asIs,
  };
  server.addService({ converse: definition }, { converse: (call: Duplex) => open(shared, streams, call) });
}

function open<State>(shared: ConverseHost<State>, streams: OpenStreams, call: Duplex): void {
  // Writing to a gateway that has gone away fails; that it has is told by `cancelled`.
  call.on("error", () => {});
  try {
    streams.assertOpen();
    assertOwn(call.metadata, shared.host.own);
  } catch (error) {
    call.emit("error", openingStatus(faultFromUnknown(error, attempted)));
    return;
  }
  const sink = new GrpcSink(call, shared, streams);
  const stream = new ConverseStream(shared, peerOf(call), sink);
  streams.add(stream);
  sink.drained = () => stream.drained();
  call.on("data", (frame: Buffer) => stream.receive(frame));
  call.on("end", () => stream.halfClosed());
  // Emitted however the call ends.
  call.on("cancelled", () => {
    stream.broken("the stream is gone");
    sink.gone();
    streams.remove(stream);
  });
}

/** A stream for another version or placement says what its route headers are: not this process's. */
function openingStatus(fault: Fault): StatusObject {
  const told = statusFromFault(fault);
  return fault.id === "not-ready" ? told : { ...told, code: status.FAILED_PRECONDITION };
}

class GrpcSink<State> implements ConverseSink {
  readonly #call: Duplex;
  readonly #shared: ConverseHost<State>;
  readonly #streams: OpenStreams;
  #unwritten = 0;
  #isFull = false;
  #cancelReset: () => void = () => {};
  drained: () => void = () => {};

  constructor(call: Duplex, shared: ConverseHost<State>, streams: OpenStreams) {
    this.#call = call;
    this.#shared = shared;
    this.#streams = streams;
  }

  write(frame: Buffer): boolean {
    this.#unwritten++;
    this.#call.write(frame, (error?: Error | null) => {
      this.#unwritten--;
      if (error || !this.#isFull || this.#unwritten >= FRAMES_AHEAD_MAX) return;
      this.#isFull = false;
      this.drained();
    });
    this.#isFull = this.#unwritten >= FRAMES_AHEAD_MAX;
    return !this.#isFull;
  }

  read(isWanted: boolean): void {
    if (isWanted) this.#call.resume();
    else this.#call.pause();
  }

  end(fault: Fault | undefined): void {
    if (fault === undefined) this.#call.end(new Metadata());
    else this.#call.emit("error", statusFromFault(fault));
    this.#cancelReset = this.#shared.host.clock.after(FLUSH_MS, () => resetCall(this.#call));
  }

  answered(): void {
    this.#streams.changed();
  }

  /** Nothing is left to be reset. */
  gone(): void {
    this.#cancelReset();
  }
}
