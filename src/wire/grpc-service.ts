import type { DescMethod, DescService, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  type CallOptions,
  type ChannelOptions,
  Client,
  credentials,
  Metadata,
  type MethodDefinition,
  type Server,
  type ServerUnaryCall,
  type ServiceDefinition,
  type ServiceError,
} from "@grpc/grpc-js";
import { faultFromUnknown } from "../fault/fault-from-unknown.ts";
import { systemClock } from "../process/clock.ts";
import { faultFromStatus, statusFromFault } from "./fault-status.ts";

/**
 * One unary or server-streaming method for grpc-js, its codec taken from protobuf-es descriptors: 64-bit integers are
 * bigints, and nothing is generated per service.
 */
export function grpcMethod<M extends DescMethod>(
  method: M,
): MethodDefinition<MessageShape<M["input"]>, MessageShape<M["output"]>> {
  const encode = (desc: M["input"] | M["output"]) => (message: unknown) =>
    Buffer.from(toBinary(desc, message as MessageShape<typeof desc>));
  const decode = (desc: M["input"] | M["output"]) => (bytes: Buffer) => fromBinary(desc, bytes) as never;
  return {
    path: `/${method.parent.typeName}/${method.name}`,
    requestStream: method.methodKind === "client_streaming" || method.methodKind === "bidi_streaming",
    responseStream: method.methodKind === "server_streaming" || method.methodKind === "bidi_streaming",
    requestSerialize: encode(method.input),
    requestDeserialize: decode(method.input),
    responseSerialize: encode(method.output),
    responseDeserialize: decode(method.output),
  };
}

export function grpcServiceDefinition(service: DescService): ServiceDefinition {
  return Object.fromEntries(service.methods.map((method) => [method.name, grpcMethod(method)]));
}

type UnaryKeys<S extends DescService> = {
  [K in keyof S["method"]]: S["method"][K] extends { methodKind: "unary" } ? K : never;
}[keyof S["method"]];

/** Handlers of a service's unary methods, by name in TypeScript. What they throw becomes the call's status. */
export type UnaryHandlers<S extends DescService> = {
  readonly [K in UnaryKeys<S>]: (
    request: MessageShape<S["method"][K]["input"]>,
    call: { readonly signal: AbortSignal; readonly metadata: Metadata },
  ) => Promise<MessageInitShape<S["method"][K]["output"]>> | MessageInitShape<S["method"][K]["output"]>;
};

/** Adds a control-plane service (all methods unary) to a server. */
export function addUnaryService<S extends DescService>(server: Server, service: S, handlers: UnaryHandlers<S>): void {
  const implementation = Object.fromEntries(
    Object.entries(service.method).map(([key, method]) => [
      method.name,
      async (call: ServerUnaryCall<never, unknown>, reply: (error: unknown, value?: unknown) => void) => {
        const cancelled = new AbortController();
        call.on("cancelled", () => cancelled.abort(new DOMException("the caller went away", "AbortError")));
        try {
          const handler = handlers[key as UnaryKeys<S>] as (r: unknown, c: unknown) => unknown;
          const result = await handler(call.request, { signal: cancelled.signal, metadata: call.metadata });
          reply(null, create(method.output, result as never));
        } catch (error) {
          reply(statusFromFault(faultFromUnknown(error, `${service.typeName}/${method.name}`)));
        }
      },
    ]),
  );
  server.addService(grpcServiceDefinition(service), implementation as never);
}

export interface UnaryCallOptions {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
  readonly metadata?: Metadata;
}

/** A client for a service's unary methods: promises, faults, and a deadline on every call. */
export type UnaryClient<S extends DescService> = {
  readonly [K in UnaryKeys<S>]: (
    request: MessageInitShape<S["method"][K]["input"]>,
    options: UnaryCallOptions,
  ) => Promise<MessageShape<S["method"][K]["output"]>>;
} & { close(): void };

/** Control-plane messages carry descriptors and manifests, so the limit is above grpc-js's 4 MiB. */
const CONTROL_CHANNEL: ChannelOptions = {
  "grpc.max_receive_message_length": 64 * 1024 * 1024,
  // A peer that restarts on its old port is found again within a second instead of grpc-js's default of two minutes.
  "grpc.initial_reconnect_backoff_ms": 100,
  "grpc.max_reconnect_backoff_ms": 1000,
};

export function unaryClient<S extends DescService>(service: S, address: string): UnaryClient<S> {
  const client = new Client(address, credentials.createInsecure(), CONTROL_CHANNEL);
  const methods = Object.entries(service.method).map(([key, method]) => [
    key,
    (request: unknown, options: UnaryCallOptions) => callUnary(client, method, request, options),
  ]);
  return { ...Object.fromEntries(methods), close: () => client.close() } as UnaryClient<S>;
}

function callUnary(client: Client, method: DescMethod, request: unknown, options: UnaryCallOptions): Promise<unknown> {
  const definition = grpcMethod(method);
  const attempted = `call ${definition.path} at ${client.getChannel().getTarget()}`;
  return new Promise((resolve, reject) => {
    if (options.signal?.aborted) return reject(faultFromUnknown(options.signal.reason, attempted));
    const callOptions: CallOptions = { deadline: systemClock.now() + options.timeoutMs };
    const call = client.makeUnaryRequest(
      definition.path,
      definition.requestSerialize,
      definition.responseDeserialize,
      create(method.input, request as never),
      options.metadata ?? new Metadata(),
      callOptions,
      (error: ServiceError | null, response?: unknown) => {
        options.signal?.removeEventListener("abort", onAbort);
        if (error !== null) reject(faultFromStatus(error, attempted));
        else resolve(response);
      },
    );
    const onAbort = () => call.cancel();
    options.signal?.addEventListener("abort", onAbort, { once: true });
  });
}
