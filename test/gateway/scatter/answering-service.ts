import { create, toBinary } from "@bufbuild/protobuf";
import { Metadata, Server, ServerCredentials, type ServerUnaryCall, type ServerWritableStream } from "@grpc/grpc-js";
import type { ShardCall } from "../../../src/gateway/scatter/shard-transport.ts";
import type { Stamp } from "../../../src/mesh/stamp.ts";
import { StampSchema } from "../../../src/wire/generated/skynetes/v1/stamp_pb.ts";
import { type PeerStream, type RawHandler, servePackedCalls } from "../packed-calls.ts";

export const NODE = "node-a";
export const VERSION = "probe-v1-00000001";
export const UNARY = "/probe.v1.Probe/Unary";
export const ROWS = "/probe.v1.Probe/Rows";

/** A call as the service sees it, by whatever way it came. */
export interface Asked {
  readonly metadata: Metadata;
  readonly request: Buffer;
  readonly deadline: number;
  readonly isPacked: boolean;
  cancelled: boolean;
  /** What it sends before all else, `right` unless changed. */
  stamp(...stamps: Stamp[]): void;
  readonly right: Stamp;
}

type UnaryReply = (error: unknown, value?: Uint8Array, trailer?: Metadata) => void;
type AnyCall = ServerUnaryCall<Buffer, Buffer> | ServerWritableStream<Buffer, Buffer>;

/** One service process that answers unary gRPC and packed calls by the same two functions. */
export class AnsweringService {
  readonly asked: Asked[] = [];
  streams: readonly PeerStream[] = [];
  onUnary: (asked: Asked, reply: UnaryReply) => void = (asked, reply) => {
    asked.stamp(asked.right);
    reply(null, asked.request);
  };
  onRows: (asked: Asked, call: ServerWritableStream<Buffer, Buffer>) => void = (asked, call) => {
    asked.stamp(asked.right);
    call.end();
  };
  #server = new Server();
  port = 0;

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** Open connections, from grpc-js's own books. */
  get connections(): number {
    return (this.#server as unknown as { sessions: Map<unknown, unknown> }).sessions.size;
  }

  async start(): Promise<this> {
    this.#server = new Server();
    const unary = (call: ServerUnaryCall<Buffer, Buffer>, reply: UnaryReply) => this.onUnary(this.#see(call), reply);
    const rows = (call: ServerWritableStream<Buffer, Buffer>) => {
      call.on("error", () => undefined);
      this.onRows(this.#see(call), call);
    };
    const asIs = (bytes: Buffer) => bytes;
    this.#server.register(UNARY, unary as never, asIs, asIs, "unary");
    this.#server.register(ROWS, rows as never, asIs, asIs, "serverStream");
    const handlers = new Map([
      [UNARY, { streaming: false, handler: unary as RawHandler }],
      [ROWS, { streaming: true, handler: rows as RawHandler }],
    ]);
    this.streams = servePackedCalls(this.#server, {
      handlers,
      hello: () => ({ pod: "pod-0", instance: "i", bound: [] }),
    });
    this.port = await new Promise<number>((resolve, reject) => {
      this.#server.bindAsync(this.address, ServerCredentials.createInsecure(), (error, bound) =>
        error === null ? resolve(bound) : reject(error),
      );
    });
    return this;
  }

  /** At once; it can be started again and has the same port then. */
  stop(): void {
    this.#server.forceShutdown();
  }

  #see(call: AnyCall): Asked {
    const { metadata } = call;
    const one = (name: string) => metadata.get(name)[0]?.toString() ?? "";
    const right: Stamp = {
      shard: Number(one("x-skynetes-shard")),
      snapshot: one("x-skynetes-snapshot"),
      stateDigest: "digest",
      serviceVersion: one("x-skynetes-version"),
    };
    const asked: Asked = {
      metadata,
      request: call.request,
      deadline: Number(call.getDeadline()),
      isPacked: !("getPath" in call),
      cancelled: false,
      right,
      stamp: (...stamps) => {
        const initial = new Metadata();
        for (const stamp of stamps) {
          initial.add("x-skynetes-stamp-bin", Buffer.from(toBinary(StampSchema, create(StampSchema, stamp))));
        }
        call.sendMetadata(initial);
      },
    };
    call.on("cancelled", () => {
      asked.cancelled = true;
    });
    this.asked.push(asked);
    return asked;
  }
}

export function callOf(address: string, over: Partial<ShardCall> = {}): ShardCall {
  const shard = over.shard ?? 3;
  const snapshot = over.snapshot ?? "s1";
  return {
    address,
    node: NODE,
    version: VERSION,
    converse: true,
    expected: { shard, snapshot, stateDigest: "digest", serviceVersion: VERSION },
    shard,
    snapshot,
    path: UNARY,
    request: Buffer.from("hello"),
    timeoutMs: 20_000,
    traceparent: undefined,
    ...over,
  };
}

/** Waits until something holds; the event itself cannot be awaited across sockets. */
export async function until(holds: () => boolean, what: string): Promise<void> {
  const end = Date.now() + 20_000;
  while (!holds()) {
    if (Date.now() > end) throw new Error(`waited 20 s for: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
