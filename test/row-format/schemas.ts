import { create, toBinary } from "@bufbuild/protobuf";
import {
  type FieldDescriptorProto_Label,
  FileDescriptorSetSchema,
  file_google_protobuf_timestamp,
  file_google_protobuf_wrappers,
  FieldDescriptorProto_Type as Type,
} from "@bufbuild/protobuf/wkt";
import type { RecordSchema } from "../../src/mesh/table-spec.ts";

export function avroSchema(fields: Record<string, unknown>): RecordSchema {
  const named = Object.entries(fields).map(([name, type]) => ({ name, type }));
  return { text: JSON.stringify({ type: "record", name: "Row", fields: named }) };
}

interface FieldMaking {
  readonly type?: Type;
  /** Full name of a message or enum, with a dot before it. */
  readonly typeName?: string;
  readonly optional?: boolean;
  readonly repeated?: boolean;
}

const OPTIONAL = 1 satisfies FieldDescriptorProto_Label;
const REPEATED = 3 satisfies FieldDescriptorProto_Label;

/** A proto3 file with an enum `Word` (A, B), a first message and the row's message behind it. */
export function protobufSchema(fields: Record<string, Type | FieldMaking>): RecordSchema {
  const makings = Object.entries(fields).map(
    ([name, field]) => [name, typeof field === "number" ? { type: field } : field] as const,
  );
  const optional = makings.filter(([, { optional }]) => optional).map(([name]) => name);
  const field = makings.map(([name, { type, typeName = "", optional: isOptional, repeated }], i) => ({
    name,
    number: i + 1,
    label: repeated ? REPEATED : OPTIONAL,
    type: type ?? Type.MESSAGE,
    typeName,
    ...(isOptional ? { proto3Optional: true, oneofIndex: optional.indexOf(name) } : {}),
  }));
  const file = {
    name: "row.proto",
    package: "test.v1",
    syntax: "proto3",
    dependency: ["google/protobuf/timestamp.proto", "google/protobuf/wrappers.proto"],
    enumType: [
      {
        name: "Word",
        value: [
          { name: "A", number: 0 },
          { name: "B", number: 1 },
        ],
      },
    ],
    messageType: [{ name: "First" }, { name: "Row", field, oneofDecl: optional.map((name) => ({ name: `_${name}` })) }],
  };
  const set = create(FileDescriptorSetSchema, {
    file: [file_google_protobuf_timestamp.proto, file_google_protobuf_wrappers.proto, file],
  });
  return { text: Buffer.from(toBinary(FileDescriptorSetSchema, set)).toString("base64"), message: "test.v1.Row" };
}
