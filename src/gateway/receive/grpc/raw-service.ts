import type { DescService } from "@bufbuild/protobuf";
import type { MethodDefinition, ServerWritableStream } from "@grpc/grpc-js";

export type RawStreamCall = ServerWritableStream<Buffer, Buffer>;

/**
 * Messages stay bytes at this door: which descriptors read them is known only when the request's snapshot, and with it
 * the service version, is.
 */
export interface RawMethod {
  readonly path: string;
  readonly streaming: boolean;
  readonly definition: MethodDefinition<Buffer, Buffer>;
}

const asIs = (bytes: Buffer) => bytes;

export function rawMethods(services: Iterable<DescService>): Map<string, RawMethod> {
  const methods = new Map<string, RawMethod>();
  for (const service of services) {
    for (const method of service.methods) {
      const path = `/${service.typeName}/${method.name}`;
      const streaming = method.methodKind === "server_streaming";
      methods.set(path, {
        path,
        streaming,
        definition: {
          path,
          requestStream: false,
          responseStream: streaming,
          requestSerialize: asIs,
          requestDeserialize: asIs,
          responseSerialize: asIs,
          responseDeserialize: asIs,
        },
      });
    }
  }
  return methods;
}
