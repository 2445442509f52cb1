import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { type DescFile, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { type Server, type ServerDuplexStream, status } from "@grpc/grpc-js";
import { loadSync, type ServiceDefinition } from "@grpc/proto-loader";

/**
 * gRPC server reflection, v1 and v1alpha (which grpcurl asks first), over whatever is bound now.
 *
 * @grpc/reflection's own implementation is not used, only its .proto files: it takes descriptors at start and for ever,
 * merges files of a package, and drops custom options, so that a client would not see how answers merge.
 */
export interface ReflectionIndex {
  /** Sorted. */
  readonly services: readonly string[];
  readonly byName: ReadonlyMap<string, DescFile>;
  readonly bySymbol: ReadonlyMap<string, DescFile>;
  /** Files by extendee and number. */
  readonly byExtension: ReadonlyMap<string, ReadonlyMap<number, DescFile>>;
}

/** Files may come from several registries; the first of a name wins, since compatible versions share their names. */
export function reflectionIndex(files: Iterable<DescFile>, services: Iterable<string>): ReflectionIndex {
  const byName = new Map<string, DescFile>();
  const bySymbol = new Map<string, DescFile>();
  const byExtension = new Map<string, Map<number, DescFile>>();
  const visit = (file: DescFile): void => {
    const name = file.proto.name;
    if (byName.has(name)) return;
    byName.set(name, file);
    for (const dependency of file.dependencies) visit(dependency);
    const add = (symbol: string) => {
      if (!bySymbol.has(symbol)) bySymbol.set(symbol, file);
    };
    const addMessage = (message: DescFile["messages"][number]): void => {
      add(message.typeName);
      for (const field of message.fields) add(`${message.typeName}.${field.name}`);
      for (const oneof of message.oneofs) add(`${message.typeName}.${oneof.name}`);
      for (const nested of message.nestedMessages) addMessage(nested);
      for (const nested of message.nestedEnums) addEnum(nested);
      for (const extension of message.nestedExtensions) addExtension(extension);
    };
    const addEnum = (enumeration: DescFile["enums"][number]): void => {
      add(enumeration.typeName);
      const scope = enumeration.typeName.slice(0, Math.max(0, enumeration.typeName.lastIndexOf(".")));
      for (const value of enumeration.values) add(scope === "" ? value.name : `${scope}.${value.name}`);
    };
    const addExtension = (extension: DescFile["extensions"][number]): void => {
      add(extension.typeName);
      const numbers = byExtension.get(extension.extendee.typeName) ?? new Map<number, DescFile>();
      if (!numbers.has(extension.number)) numbers.set(extension.number, file);
      byExtension.set(extension.extendee.typeName, numbers);
    };
    file.messages.forEach(addMessage);
    file.enums.forEach(addEnum);
    file.extensions.forEach(addExtension);
    for (const service of file.services) {
      add(service.typeName);
      for (const method of service.methods) add(`${service.typeName}.${method.name}`);
    }
  };
  for (const file of files) visit(file);
  return { services: [...new Set(services)].sort(), byName, bySymbol, byExtension };
}

/** As proto-loader reads and writes it with `oneofs`. */
interface ReflectionRequest {
  readonly host: string;
  readonly messageRequest?: string;
  readonly fileByFilename?: string;
  readonly fileContainingSymbol?: string;
  readonly fileContainingExtension?: { readonly containingType: string; readonly extensionNumber: number };
  readonly allExtensionNumbersOfType?: string;
  readonly listServices?: string;
}

/** One answer for one question of the stream. */
export function answerReflection(index: ReflectionIndex, request: ReflectionRequest): Record<string, unknown> {
  const base = { validHost: request.host, originalRequest: request };
  const file = (found: DescFile | undefined, sought: string) =>
    found === undefined
      ? notFound(sought)
      : { fileDescriptorResponse: { fileDescriptorProto: withDependencies(found) } };
  const notFound = (sought: string) => ({
    errorResponse: { errorCode: status.NOT_FOUND, errorMessage: `not found: ${sought}` },
  });
  switch (request.messageRequest) {
    case "listServices":
      return { ...base, listServicesResponse: { service: index.services.map((name) => ({ name })) } };
    case "fileByFilename": {
      const name = request.fileByFilename ?? "";
      return { ...base, ...file(index.byName.get(name), name) };
    }
    case "fileContainingSymbol": {
      const symbol = request.fileContainingSymbol ?? "";
      return { ...base, ...file(index.bySymbol.get(symbol), symbol) };
    }
    case "fileContainingExtension": {
      const { containingType = "", extensionNumber = 0 } = request.fileContainingExtension ?? {};
      const found = index.byExtension.get(containingType)?.get(extensionNumber);
      return { ...base, ...file(found, `extension ${extensionNumber} of ${containingType}`) };
    }
    case "allExtensionNumbersOfType": {
      const type = request.allExtensionNumbersOfType ?? "";
      const numbers = index.byExtension.get(type);
      if (numbers === undefined && !index.bySymbol.has(type)) return { ...base, ...notFound(type) };
      const extensionNumber = [...(numbers?.keys() ?? [])];
      return { ...base, allExtensionNumbersResponse: { baseTypeName: type, extensionNumber } };
    }
    default:
      return {
        ...base,
        errorResponse: { errorCode: status.INVALID_ARGUMENT, errorMessage: "the request asks nothing" },
      };
  }
}

function withDependencies(file: DescFile, seen = new Set<DescFile>()): Uint8Array[] {
  if (seen.has(file)) return [];
  seen.add(file);
  const own = toBinary(FileDescriptorProtoSchema, file.proto);
  return [own, ...file.dependencies.flatMap((dependency) => withDependencies(dependency, seen))];
}

/** Of one stream: a tool asks for each service and file once. */
const QUESTIONS_MAX = 1_000;

export function addReflection(server: Server, index: () => ReflectionIndex): void {
  const home = dirname(createRequire(import.meta.url).resolve("@grpc/reflection/package.json"));
  for (const version of ["v1", "v1alpha"]) {
    const file = join(home, "build/proto/grpc/reflection", version, "reflection.proto");
    const loaded = loadSync(file, { longs: String, enums: String, bytes: Array, defaults: true, oneofs: true });
    const service = loaded[`grpc.reflection.${version}.ServerReflection`] as ServiceDefinition;
    server.addService(service as never, {
      ServerReflectionInfo: (stream: ServerDuplexStream<ReflectionRequest, unknown>) => {
        let questions = 0;
        stream.on("data", (request: ReflectionRequest) => {
          if (++questions > QUESTIONS_MAX) {
            stream.pause();
            const details = `reflection: more than ${QUESTIONS_MAX} questions in one stream`;
            stream.emit("error", { code: status.RESOURCE_EXHAUSTED, details });
          } else if (!stream.write(answerReflection(index(), request))) {
            // An answer is many times its question: who does not read is not read.
            stream.pause();
            stream.once("drain", () => stream.resume());
          }
        });
        stream.on("end", () => stream.end());
        stream.on("error", () => undefined);
      },
    });
  }
}
