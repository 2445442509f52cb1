import { create, type DescService, fromBinary, type Message, toBinary } from "@bufbuild/protobuf";
import {
  Metadata,
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type ServerWritableStream,
  type sendUnaryData,
  type status,
} from "@grpc/grpc-js";
import type { Stamp } from "../../src/mesh/stamp.ts";
import { BindingService, ListBindingsResponseSchema } from "../../src/wire/generated/skynetes/v1/binding_pb.ts";
import { StampSchema } from "../../src/wire/generated/skynetes/v1/stamp_pb.ts";
import { addUnaryService } from "../../src/wire/grpc-service.ts";
import { type PeerStream, type RawHandler, servePackedCalls } from "./packed-calls.ts";
import { probeMessage } from "./probe-service.ts";

/** What one shard says, call by call. Absent parts behave like a healthy shard. */
export interface ShardScript {
  /** Changes the stamp that it should send; `undefined` sends none. */
  stamp?: (right: Stamp, call: number) => Stamp | undefined;
  /** One more stamp, behind the first. */
  secondStamp?: (right: Stamp) => Stamp;
  /** Waits before it sends its stamp. */
  before?: (call: number) => Promise<void>;
  /** Fails instead of answering. */
  fail?: (call: number) => { code: status; details: string; metadata?: Metadata } | undefined;
  /** Waits before it answers; hangs until the call is cancelled when it never resolves. */
  delay?: (call: number) => Promise<void>;
  /** Fields of its EchoResponse. */
  echo?: (request: Record<string, unknown>) => Record<string, unknown>;
  /** Values of its rows, ascending. */
  rows?: readonly bigint[];
  /** In every row. */
  note?: string;
  /** Told how many rows of a stream its own buffers have let through. */
  sent?: (rows: number) => void;
  /** Says other than it should as a packed stream opens. */
  hello?: (right: { bound: readonly Stamp[] }) => { instance?: string; bound?: readonly Stamp[] };
  /** Refuses packed streams. */
  refuseStream?: () => { code: status; details: string };
  /** Breaks the stream after so many rows. */
  breakAfter?: number;
}

export interface SeenCall {
  readonly method: string;
  readonly metadata: Metadata;
  readonly request: Message | undefined;
  cancelled: boolean;
  /** What was left of the deadline when the call came, as its `grpc-timeout` says. */
  readonly remainingMs: number;
}

/** A service process of the tests: a real gRPC server on a port of its own that keeps the kit's wire contract. */
export class ScriptedShard {
  readonly shard: number;
  script: ShardScript = {};
  readonly calls: SeenCall[] = [];
  /** By snapshot: the state digest that its stamps carry. */
  readonly digests = new Map<string, string>();
  readonly #desc: DescService;
  readonly #server = new Server();
  instance = "";
  /** Packed streams that were opened to it. */
  streams: readonly PeerStream[] = [];
  #address = "";
  #version = "";

  constructor(shard: number, desc: DescService) {
    this.shard = shard;
    this.#desc = desc;
  }

  get address(): string {
    return this.#address;
  }

  async start(version: string): Promise<void> {
    this.#version = version;
    const asIs = (bytes: Buffer) => bytes;
    const handlers = new Map<string, { streaming: boolean; handler: RawHandler }>();
    for (const method of this.#desc.methods) {
      const path = `/${this.#desc.typeName}/${method.name}`;
      const streaming = method.methodKind === "server_streaming";
      const handler = streaming
        ? (call: ServerWritableStream<Buffer, Buffer>) => void this.#stream(call, method.name)
        : (call: ServerUnaryCall<Buffer, Buffer>, reply: sendUnaryData<Buffer>) =>
            void this.#unary(call, reply, method.name);
      this.#server.register(path, handler as never, asIs, asIs, streaming ? "serverStream" : "unary");
      handlers.set(path, { streaming, handler: handler as RawHandler });
    }
    const hello = () => {
      const right = { pod: `pod-${this.shard}`, instance: this.instance, bound: this.#bound() };
      return { ...right, ...this.script.hello?.(right) };
    };
    const refuse = () => this.script.refuseStream?.();
    this.streams = servePackedCalls(this.#server, { handlers, hello, refuse });
    addUnaryService(this.#server, BindingService, {
      describe: () => ({}),
      bind: () => ({}),
      unbind: () => ({}),
      listBindings: () => create(ListBindingsResponseSchema, { bound: this.#bound(), instance: this.instance }),
    });
    const port = await new Promise<number>((resolve, reject) => {
      this.#server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
        error === null ? resolve(bound) : reject(error),
      );
    });
    this.#address = `127.0.0.1:${port}`;
  }

  /** Open connections, from grpc-js's own books. */
  get connections(): number {
    return (this.#server as unknown as { sessions: Map<unknown, unknown> }).sessions.size;
  }

  stop(): void {
    this.#server.forceShutdown();
  }

  #bound(): Stamp[] {
    const right = (snapshot: string) => ({
      shard: this.shard,
      snapshot,
      stateDigest: this.digests.get(snapshot) ?? "",
      serviceVersion: this.#version,
    });
    const stamp = this.script.stamp ?? ((s: Stamp) => s);
    return [...this.digests.keys()].map((snapshot) => stamp(right(snapshot), 0)).filter((s) => s !== undefined);
  }

  async #unary(call: ServerUnaryCall<Buffer, Buffer>, reply: sendUnaryData<Buffer>, name: string): Promise<void> {
    const number = this.#see(call, name);
    const failed = this.script.fail?.(number);
    if (failed !== undefined) return reply(failed);
    await this.script.before?.(number);
    this.#sendStamp(call, number);
    await this.script.delay?.(number);
    if (call.cancelled) return;
    const method = this.#desc.methods.find((m) => m.name === name)!;
    const request = fromBinary(method.input, call.request) as unknown as Record<string, unknown>;
    const echo = this.script.echo ?? (() => ({ rows: 1n }));
    const message = probeMessage(this.#desc, "EchoResponse", echo(request));
    reply(null, Buffer.from(toBinary(method.output, message)));
  }

  async #stream(call: ServerWritableStream<Buffer, Buffer>, name: string): Promise<void> {
    const number = this.#see(call, name);
    call.on("error", () => undefined);
    const failed = this.script.fail?.(number);
    if (failed !== undefined) return void call.emit("error", failed);
    await this.script.before?.(number);
    this.#sendStamp(call, number);
    await this.script.delay?.(number);
    const method = this.#desc.methods.find((m) => m.name === name)!;
    const { limit } = fromBinary(method.input, call.request) as unknown as { limit: number };
    const rows = (this.script.rows ?? []).slice(0, limit === 0 ? undefined : limit);
    for (const [i, value] of rows.entries()) {
      if (i === this.script.breakAfter) return void call.emit("error", { code: 14, details: "broken on purpose" });
      const row = toBinary(method.output, probeMessage(this.#desc, "Row", { value, note: this.script.note ?? "" }));
      if (!call.write(Buffer.from(row))) await new Promise((resolve) => call.once("drain", resolve));
      if (call.cancelled) return;
      this.script.sent?.(i + 1);
    }
    call.end();
  }

  #see(call: ServerUnaryCall<Buffer, Buffer> | ServerWritableStream<Buffer, Buffer>, method: string): number {
    const desc = this.#desc.methods.find((m) => m.name === method)!;
    const deadline = call.getDeadline();
    const seen: SeenCall = {
      method,
      metadata: call.metadata,
      request: fromBinary(desc.input, call.request),
      cancelled: false,
      remainingMs: (deadline instanceof Date ? deadline.getTime() : deadline) - Date.now(),
    };
    call.on("cancelled", () => {
      seen.cancelled = true;
    });
    return this.calls.push(seen);
  }

  #sendStamp(call: { metadata: Metadata; sendMetadata(metadata: Metadata): void }, number: number): void {
    const snapshot = call.metadata.get("x-skynetes-snapshot")[0]?.toString() ?? "";
    const right: Stamp = {
      shard: this.shard,
      snapshot,
      stateDigest: this.digests.get(snapshot) ?? "",
      serviceVersion: call.metadata.get("x-skynetes-version")[0]?.toString() ?? "",
    };
    const stamp = this.script.stamp === undefined ? right : this.script.stamp(right, number);
    const metadata = new Metadata();
    for (const one of [stamp, this.script.secondStamp?.(right)]) {
      if (one === undefined) continue;
      metadata.add("x-skynetes-stamp-bin", Buffer.from(toBinary(StampSchema, create(StampSchema, one))));
    }
    call.sendMetadata(metadata);
  }
}
