import { create, type DescMethod, fromBinary, type MessageInitShape, type MessageShape } from "@bufbuild/protobuf";
import { Client, type ClientReadableStream, credentials, Metadata, type ServiceError } from "@grpc/grpc-js";
import { BOUNDS_HEADER, ROUTE_HEADERS, STAMP_HEADER } from "../../src/mesh/route-headers.ts";
import { faultFromStatus } from "../../src/wire/fault-status.ts";
import {
  type Stamp,
  StampSchema,
  type TopBounds,
  TopBoundsSchema,
} from "../../src/wire/generated/skynetes/v1/stamp_pb.ts";
import { grpcMethod } from "../../src/wire/grpc-service.ts";

export interface Target {
  readonly version: string;
  readonly shard: number | string;
  readonly snapshot: string;
  readonly placement?: string;
}

export interface CallOptions {
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  /** Changes the headers before they are sent. */
  readonly headers?: (metadata: Metadata) => void;
}

export interface Partial<M extends DescMethod> {
  readonly stamp: Stamp | undefined;
  readonly bounds: TopBounds | undefined;
  readonly messages: readonly MessageShape<M["output"]>[];
  /** What came when: "stamp", "message", … */
  readonly events: readonly string[];
}

/** Calls shards as a gateway does: over real gRPC, with route headers, keeping metadata. Failures are thrown faults. */
export class ShardCaller {
  readonly #client: Client;

  constructor(address: string) {
    this.#client = new Client(address, credentials.createInsecure());
  }

  close(): void {
    this.#client.close();
  }

  open<M extends DescMethod>(
    method: M,
    request: MessageInitShape<M["input"]>,
    target: Target,
    options: CallOptions = {},
  ) {
    const { path, requestSerialize, responseDeserialize } = grpcMethod(method);
    // A unary call is a stream of one message; opened as a stream it shows when its metadata came.
    return this.#client.makeServerStreamRequest(
      path,
      requestSerialize,
      responseDeserialize,
      create(method.input, request as never) as never,
      headersFor(target, options.headers),
      { deadline: Date.now() + (options.timeoutMs ?? 20_000) },
    ) as ClientReadableStream<MessageShape<M["output"]>>;
  }

  call<M extends DescMethod>(
    method: M,
    request: MessageInitShape<M["input"]>,
    target: Target,
    options: CallOptions = {},
  ): Promise<Partial<M>> {
    return new Promise((resolve, reject) => {
      const call = this.open(method, request, target, options);
      const messages: MessageShape<M["output"]>[] = [];
      const events: string[] = [];
      let stamp: Stamp | undefined;
      options.signal?.addEventListener("abort", () => call.cancel(), { once: true });
      call.on("metadata", (metadata) => {
        stamp = stampOf(metadata);
        events.push(stamp === undefined ? "metadata" : "stamp");
      });
      call.on("data", (message) => {
        messages.push(message);
        events.push("message");
      });
      call.on("error", (error: ServiceError) => reject(faultFromStatus(error, "call a shard")));
      call.on("status", (status) => {
        if (status.code === 0) resolve({ stamp, bounds: boundsOf(status.metadata), messages, events });
      });
    });
  }
}

export function headersFor(target: Target, change?: (metadata: Metadata) => void): Metadata {
  const metadata = new Metadata();
  metadata.set(ROUTE_HEADERS.version, target.version);
  metadata.set(ROUTE_HEADERS.shard, String(target.shard));
  metadata.set(ROUTE_HEADERS.snapshot, target.snapshot);
  if (target.placement !== undefined) metadata.set(ROUTE_HEADERS.placement, target.placement);
  change?.(metadata);
  return metadata;
}

export function stampOf(metadata: Metadata): Stamp | undefined {
  const bytes = metadata.get(STAMP_HEADER)[0];
  return bytes instanceof Buffer ? fromBinary(StampSchema, bytes) : undefined;
}

function boundsOf(metadata: Metadata): TopBounds | undefined {
  const bytes = metadata.get(BOUNDS_HEADER)[0];
  return bytes instanceof Buffer ? fromBinary(TopBoundsSchema, bytes) : undefined;
}
