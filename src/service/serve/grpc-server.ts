import type { DescService } from "@bufbuild/protobuf";
import { Server, ServerCredentials } from "@grpc/grpc-js";
import { ReflectionService } from "@grpc/reflection";
import { faultFromUnknown } from "../../fault/fault-from-unknown.ts";
import type { CallHost } from "./answer-call.ts";
import { descriptorFiles } from "./descriptor-set.ts";
import { streamingCall, unaryCall } from "./grpc-call.ts";
import type { ServedMethod } from "./served-method.ts";

/** Streams of one connection; a gateway has two connections to a process, one of them for large partials. */
const STREAMS_MAX = 1024;
/** Of one request: a gateway that settles a top list may ask for 10,000 keys at once, so gRPC's 4 MiB are too few. */
const REQUEST_BYTES_MAX = 64 * 2 ** 20;
/** A gateway that is gone without a word (no FIN) is noticed within seconds, also while it asks nothing. */
const KEEPALIVE_MS = 10_000;
const KEEPALIVE_TIMEOUT_MS = 5_000;

export function grpcServer(): Server {
  return new Server({
    "grpc.max_concurrent_streams": STREAMS_MAX,
    "grpc.max_receive_message_length": REQUEST_BYTES_MAX,
    "grpc.keepalive_time_ms": KEEPALIVE_MS,
    "grpc.keepalive_timeout_ms": KEEPALIVE_TIMEOUT_MS,
  });
}

/** Each method of the author's service on its own path: one gRPC call a call. */
export function addMethods<State>(
  server: Server,
  host: CallHost<State>,
  methods: ReadonlyMap<string, ServedMethod<State>>,
): void {
  for (const [path, served] of methods) {
    const { name, methodKind } = served.plan.method;
    const isStreaming = methodKind === "server_streaming";
    const definition = {
      path,
      requestStream: false,
      responseStream: isStreaming,
      // Both ways the kit reads and writes messages itself: by the same code as in packed streams, in slices.
      requestSerialize: asBuffer,
      requestDeserialize: asBuffer,
      responseSerialize: asBuffer,
      responseDeserialize: asBuffer,
    };
    const implementation = isStreaming ? streamingCall(host, served) : unaryCall(host, served);
    server.addService({ [name]: definition }, { [name]: implementation as never });
  }
}

export function reflection(services: readonly DescService[]): ReflectionService {
  const fileDescriptorProtos = descriptorFiles(services.map((service) => service.file));
  return new ReflectionService({ files: { fileDescriptorProtos } } as never, {
    services: services.map((service) => service.typeName),
  });
}

/** Returns host:port. Fault `internal`: the port cannot be had. */
export function listen(server: Server, to: { readonly host: string; readonly port: number }): Promise<string> {
  const host = to.host.includes(":") ? `[${to.host}]` : to.host;
  const attempted = `listen on ${host}:${to.port}`;
  return new Promise((resolve, reject) => {
    server.bindAsync(`${host}:${to.port}`, ServerCredentials.createInsecure(), (error, port) => {
      if (error !== null) reject(faultFromUnknown(error, attempted));
      else resolve(`${host}:${port}`);
    });
  });
}

function asBuffer({ buffer, byteOffset, byteLength }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength);
}
