import { EventEmitter } from "node:events";
import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { Metadata, type Server, type ServerDuplexStream, type ServiceError, status } from "@grpc/grpc-js";
import type { Stamp } from "../../src/mesh/stamp.ts";
import { faultFromStatus } from "../../src/wire/fault-status.ts";
import {
  type ConverseRequest,
  ConverseRequestSchema,
  ConverseResponseSchema,
  type ShardCall,
  type ShardFragmentSchema,
} from "../../src/wire/generated/skynetes/v1/shard_pb.ts";
import { StampSchema, TopBoundsSchema } from "../../src/wire/generated/skynetes/v1/stamp_pb.ts";

const HEARTBEAT_MS = 1_000;
const CREDIT = 256 * 1024;
const FRAGMENT = 16 * 1024;

/** A handler as it is given to grpc-js. */
export type RawHandler = (call: never, reply: never) => void;
export type Fragment = MessageInitShape<typeof ShardFragmentSchema>;
export type Response = MessageInitShape<typeof ConverseResponseSchema>;

/** The service's side of one stream, made from the generated schemas: it shares no code with the gateway's side. */
export class PeerStream {
  readonly headers: Metadata;
  readonly frames: ConverseRequest[] = [];
  readonly #under: ServerDuplexStream<Buffer, Buffer>;
  /** Told of each frame as it comes. */
  onFrame: (frame: ConverseRequest) => void = () => {};
  /** Told once, when the gateway has ended or cancelled it. */
  onEnd: () => void = () => {};
  ended = false;
  #fragments: Fragment[] = [];
  #gathered = 0;

  constructor(under: ServerDuplexStream<Buffer, Buffer>) {
    this.#under = under;
    this.headers = under.metadata;
    under.on("error", () => {});
    under.on("cancelled", () => {
      this.ended = true;
      this.onEnd();
    });
    under.on("end", () => {
      this.ended = true;
      under.end();
      this.onEnd();
    });
    under.on("data", (bytes: Buffer) => {
      const frame = fromBinary(ConverseRequestSchema, bytes);
      this.frames.push(frame);
      this.onFrame(frame);
    });
  }

  get calls(): readonly ShardCall[] {
    return this.frames.flatMap((frame) => frame.calls);
  }

  send(response: Response): void {
    this.sendRaw(toBinary(ConverseResponseSchema, create(ConverseResponseSchema, response)));
  }

  /** Packs fragments of one turn, as far as they fit a frame. */
  gather(fragment: Fragment): void {
    this.#fragments.push(fragment);
    this.#gathered += 600 + (fragment.data?.length ?? 0);
    if (this.#gathered > 40_000) this.#sendGathered();
    else if (this.#fragments.length === 1) setImmediate(() => this.#sendGathered());
  }

  #sendGathered(): void {
    const fragments = this.#fragments;
    this.#fragments = [];
    this.#gathered = 0;
    if (fragments.length > 0) this.send({ fragments });
  }

  sendRaw(bytes: Uint8Array): void {
    if (!this.ended) this.#under.write(Buffer.from(bytes));
  }

  fail(error: Partial<ServiceError>): void {
    this.ended = true;
    this.#under.emit("error", error);
  }

  end(): void {
    this.#under.end();
  }

  /** Nothing more is read: the gateway's frames pile up on its side. */
  pause(): void {
    this.#under.pause();
  }
}

/** Serves ShardService/Converse; what happens on a stream is `script`'s. */
export function serveStreams(server: Server, script: (stream: PeerStream) => void): PeerStream[] {
  const streams: PeerStream[] = [];
  const asIs = (bytes: Buffer) => bytes;
  const handler = (under: ServerDuplexStream<Buffer, Buffer>) => {
    const stream = new PeerStream(under);
    streams.push(stream);
    script(stream);
  };
  server.register("/skynetes.v1.ShardService/Converse", handler as never, asIs, asIs, "bidi");
  return streams;
}

export interface PackedService {
  /** By `/package.Service/Method`. */
  readonly handlers: ReadonlyMap<string, { readonly streaming: boolean; readonly handler: RawHandler }>;
  /** Refuses a stream instead of greeting. */
  readonly refuse?: () => Failure | undefined;
  readonly hello: () => { readonly pod: string; readonly instance: string; readonly bound: readonly Stamp[] };
}

/** Answers packed calls by the handlers that answer unary gRPC, so that both transports can be held to one script. */
export function servePackedCalls(server: Server, service: PackedService): PeerStream[] {
  return serveStreams(server, (stream) => {
    const refusal = service.refuse?.();
    if (refusal !== undefined) {
      stream.fail(refusal);
      return;
    }
    const calls = new Map<bigint, PackedCall>();
    stream.send({ hello: { ...service.hello(), bound: [...service.hello().bound] } });
    let sequence = 0n;
    const beat = setInterval(() => stream.send({ heartbeat: { sequence: ++sequence } }), HEARTBEAT_MS);
    stream.onEnd = () => {
      clearInterval(beat);
      for (const call of calls.values()) call.cancel();
    };
    stream.onFrame = (frame) => {
      for (const call of frame.calls) {
        const found = service.handlers.get(call.method);
        const under = new PackedCall(stream, call);
        calls.set(call.id, under);
        if (found === undefined) under.reply({ code: status.UNIMPLEMENTED, details: `no method ${call.method}` });
        else found.handler(under as never, under.reply as never);
      }
      for (const credit of frame.credits) calls.get(credit.id)?.granted(credit.bytes);
      for (const id of frame.cancelled) calls.get(id)?.cancel();
    };
  });
}

type Failure = Partial<ServiceError>;

/** One packed call in the shape of grpc-js's server calls, as far as the tests' handlers use it. */
class PackedCall extends EventEmitter {
  readonly request: Buffer;
  readonly metadata = new Metadata();
  cancelled = false;
  readonly #stream: PeerStream;
  readonly #call: ShardCall;
  readonly #deadline: number;
  #credit = CREDIT;
  #stamp: Uint8Array | undefined;
  #waiting: { readonly bytes: Buffer; readonly isMessage: boolean }[] = [];
  #end: Fragment | undefined;
  #isOver = false;

  constructor(stream: PeerStream, call: ShardCall) {
    super();
    this.#stream = stream;
    this.#call = call;
    this.request = Buffer.from(call.request);
    this.#deadline = Date.now() + Number(call.remainingUs) / 1000;
    for (const header of ["x-skynetes-version", "x-skynetes-placement"]) {
      for (const value of stream.headers.get(header)) this.metadata.add(header, value);
    }
    this.metadata.set("x-skynetes-shard", String(call.shard));
    this.metadata.set("x-skynetes-snapshot", call.snapshot);
    if (call.traceparent !== "") this.metadata.set("traceparent", call.traceparent);
    this.on("error", (error: Failure) => this.reply(error));
  }

  getDeadline(): number {
    return this.#deadline;
  }

  sendMetadata(metadata: Metadata): void {
    // Two stamps are sent as two: the first in a fragment of its own.
    for (const bytes of metadata.get("x-skynetes-stamp-bin")) {
      this.#stamp = bytes as Buffer;
      this.#fragment({ data: new Uint8Array() });
    }
  }

  readonly reply = (error: Failure | null, value?: Buffer, trailer?: Metadata): void => {
    if (error === null) {
      const bounds = trailer?.get("x-skynetes-bounds-bin")[0];
      if (value !== undefined) this.#waiting.push({ bytes: value, isMessage: false });
      this.#ends({
        status: { code: 0 },
        ...(bounds instanceof Buffer ? { bounds: fromBinary(TopBoundsSchema, bounds) } : {}),
      });
      return;
    }
    const fault = faultFromStatus(error as ServiceError, "");
    const isFault = error.metadata?.get("grpc-status-details-bin")[0] !== undefined;
    this.#ends({
      status: {
        code: error.code ?? status.UNKNOWN,
        message: error.details ?? "",
        fault: isFault ? fault.id : "",
        retryAfterMs: isFault ? (fault.detail.retryAfterMs ?? 0) : 0,
      },
    });
  };

  /** False: `drain` is emitted when everything has been sent. */
  write(bytes: Buffer): boolean {
    this.#waiting.push({ bytes, isMessage: true });
    this.#pump();
    return this.#waiting.length === 0;
  }

  end(): void {
    this.#ends({ status: { code: 0 } });
  }

  granted(bytes: number): void {
    this.#credit += bytes;
    this.#pump();
  }

  cancel(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.cancelled = true;
    this.#waiting = [];
    this.emit("cancelled");
    this.emit("drain");
  }

  #ends(end: Fragment): void {
    if (this.#end !== undefined) return;
    this.#end = end;
    this.#pump();
  }

  #pump(): void {
    if (this.#isOver) return;
    const hadWaiting = this.#waiting.length > 0;
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      const length = Math.min(next.bytes.length, FRAGMENT, this.#credit);
      if (length === 0 && next.bytes.length > 0) return;
      this.#credit -= length;
      const isLast = length === next.bytes.length;
      this.#fragment({ data: next.bytes.subarray(0, length), messageEnd: isLast && next.isMessage });
      if (isLast) this.#waiting.shift();
      else this.#waiting[0] = { ...next, bytes: next.bytes.subarray(length) };
    }
    if (hadWaiting) this.emit("drain");
    if (this.#end === undefined) return;
    this.#isOver = true;
    this.#fragment(this.#end);
  }

  #fragment(fragment: Fragment): void {
    const stamp = this.#stamp === undefined ? {} : { stamp: fromBinary(StampSchema, this.#stamp) };
    this.#stamp = undefined;
    this.#stream.gather({ id: this.#call.id, ...stamp, ...fragment });
  }
}
