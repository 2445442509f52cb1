import {
  create,
  createFileRegistry,
  type DescService,
  type Message,
  type MessageInitShape,
  setExtension,
  toBinary,
} from "@bufbuild/protobuf";
import {
  type DescriptorProto,
  DescriptorProtoSchema,
  type FieldDescriptorProto,
  FieldDescriptorProto_Label,
  FieldDescriptorProto_Type,
  FieldDescriptorProtoSchema,
  FieldOptionsSchema,
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
  file_google_protobuf_descriptor,
  MethodOptions_IdempotencyLevel,
  MethodOptionsSchema,
  OneofDescriptorProtoSchema,
  ServiceDescriptorProtoSchema,
} from "@bufbuild/protobuf/wkt";
import {
  file_skynetes_v1_merge,
  type MergeRule,
  MergeRuleSchema,
  MethodRuleSchema,
  merge,
  method,
  Role,
  role,
} from "../../src/wire/generated/skynetes/v1/merge_pb.ts";

const { INT64, UINT64, INT32, STRING, DOUBLE, MESSAGE } = FieldDescriptorProto_Type;

interface FieldSpec {
  readonly type: FieldDescriptorProto_Type;
  readonly typeName?: string;
  readonly repeated?: boolean;
  readonly optional?: boolean;
  readonly merge?: MergeRule["operator"];
  readonly role?: Role;
}

/**
 * A service whose shards the tests script by hand:
 *
 *   Echo (no side effects): the numbers of the request come back, `rows` is summed over the shards.
 *   Write: the same, not marked as free of side effects.
 *   Rows (streaming, ordered by value; LIMIT, OFFSET).
 */
export function probeService(
  change?: (messages: DescriptorProto[]) => void,
  echo: MessageInitShape<typeof MethodRuleSchema> = {},
): { desc: DescService; set: Uint8Array } {
  const messages = [
    message("EchoRequest", {
      number: { type: INT64 },
      big: { type: UINT64 },
      real: { type: DOUBLE },
      text: { type: STRING, optional: true },
      inner: { type: MESSAGE, typeName: ".probe.v1.Inner" },
      many: { type: INT64, repeated: true },
    }),
    message("Inner", {
      depth: { type: INT32 },
      inners: { type: MESSAGE, typeName: ".probe.v1.Inner", repeated: true },
    }),
    message("EchoResponse", {
      rows: { type: INT64, merge: { case: "sum", value: {} as never } },
      greatest: { type: INT64, optional: true, merge: { case: "max", value: {} as never } },
      big: { type: UINT64, optional: true, merge: { case: "max", value: {} as never } },
      text: { type: STRING, merge: { case: "first", value: {} as never } },
    }),
    message("RowsRequest", { limit: { type: INT32, role: Role.LIMIT }, offset: { type: INT32, role: Role.OFFSET } }),
    message("Row", { value: { type: INT64 }, note: { type: STRING } }),
  ];
  change?.(messages);
  const noSideEffects = create(MethodOptionsSchema, {
    idempotencyLevel: MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS,
  });
  setExtension(noSideEffects, method, create(MethodRuleSchema, echo));
  const sorted = create(MethodOptionsSchema);
  setExtension(sorted, method, create(MethodRuleSchema, { sorted: [{ field: "value" }] }));
  const file = create(FileDescriptorProtoSchema, {
    name: "probe/v1/probe.proto",
    package: "probe.v1",
    syntax: "proto3",
    dependency: ["skynetes/v1/merge.proto"],
    messageType: messages,
    service: [
      create(ServiceDescriptorProtoSchema, {
        name: "ProbeService",
        method: [
          {
            name: "Echo",
            inputType: ".probe.v1.EchoRequest",
            outputType: ".probe.v1.EchoResponse",
            options: noSideEffects,
          },
          { name: "Write", inputType: ".probe.v1.EchoRequest", outputType: ".probe.v1.EchoResponse" },
          {
            name: "Rows",
            inputType: ".probe.v1.RowsRequest",
            outputType: ".probe.v1.Row",
            serverStreaming: true,
            options: sorted,
          },
        ],
      }),
    ],
  });
  const set = create(FileDescriptorSetSchema, {
    file: [file_google_protobuf_descriptor.proto, file_skynetes_v1_merge.proto, file],
  });
  const desc = createFileRegistry(set).getService("probe.v1.ProbeService") as DescService;
  return { desc, set: toBinary(FileDescriptorSetSchema, set) };
}

export function probeMessage(desc: DescService, name: string, fields: Record<string, unknown>): Message {
  const schema = desc.methods.flatMap((m) => [m.input, m.output]).find((m) => m.name === name);
  if (schema === undefined) throw new Error(`no message ${name}`);
  return create(schema, fields as never);
}

function message(name: string, fields: Record<string, FieldSpec>): DescriptorProto {
  const proto = create(DescriptorProtoSchema, { name });
  for (const [fieldName, spec] of Object.entries(fields)) {
    const field: FieldDescriptorProto = create(FieldDescriptorProtoSchema, {
      name: fieldName,
      jsonName: fieldName,
      number: proto.field.length + 1,
      type: spec.type,
      label: spec.repeated ? FieldDescriptorProto_Label.REPEATED : FieldDescriptorProto_Label.OPTIONAL,
      ...(spec.typeName === undefined ? {} : { typeName: spec.typeName }),
    });
    if (spec.optional) {
      field.proto3Optional = true;
      field.oneofIndex = proto.oneofDecl.length;
      proto.oneofDecl.push(create(OneofDescriptorProtoSchema, { name: `_${fieldName}` }));
    }
    const options = create(FieldOptionsSchema);
    if (spec.merge !== undefined) {
      const rule = create(MergeRuleSchema, { operator: spec.merge as never });
      setExtension(options, merge, rule);
      field.options = options;
    }
    if (spec.role !== undefined) {
      setExtension(options, role, spec.role);
      field.options = options;
    }
    proto.field.push(field);
  }
  return proto;
}
