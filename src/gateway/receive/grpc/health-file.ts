import assert from "node:assert";
import { create, createFileRegistry, type DescFile } from "@bufbuild/protobuf";
import {
  FieldDescriptorProto_Label,
  FieldDescriptorProto_Type,
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
} from "@bufbuild/protobuf/wkt";

export const HEALTH_SERVICE = "grpc.health.v1.Health";

const { ENUM, STRING } = FieldDescriptorProto_Type;
const label = FieldDescriptorProto_Label.OPTIONAL;
const [request, response] = [".grpc.health.v1.HealthCheckRequest", ".grpc.health.v1.HealthCheckResponse"];

/**
 * The standard health protocol, so that reflection shows it too and grpcurl needs no file for it. Stated here since the
 * descriptors that grpc-health-check brings name their types relatively, which no other reader accepts.
 */
const HEALTH = create(FileDescriptorProtoSchema, {
  name: "grpc/health/v1/health.proto",
  package: "grpc.health.v1",
  syntax: "proto3",
  messageType: [
    {
      name: "HealthCheckRequest",
      field: [{ name: "service", jsonName: "service", number: 1, label, type: STRING }],
    },
    {
      name: "HealthCheckResponse",
      field: [
        { name: "status", jsonName: "status", number: 1, label, type: ENUM, typeName: `${response}.ServingStatus` },
      ],
      enumType: [
        {
          name: "ServingStatus",
          value: ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"].map((name, number) => ({ name, number })),
        },
      ],
    },
  ],
  service: [
    {
      name: "Health",
      method: [
        { name: "Check", inputType: request, outputType: response },
        { name: "Watch", inputType: request, outputType: response, serverStreaming: true },
      ],
    },
  ],
});

export function healthFile(): DescFile {
  const service = createFileRegistry(create(FileDescriptorSetSchema, { file: [HEALTH] })).getService(HEALTH_SERVICE);
  assert(service !== undefined, "the file has the service");
  return service.file;
}
