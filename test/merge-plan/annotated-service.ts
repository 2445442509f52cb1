/** Annotated services made in the test, as a compiler of .proto files would hand them over. */
import {
  create,
  createFileRegistry,
  type DescFile,
  type DescMethod,
  type MessageInitShape,
  setExtension,
} from "@bufbuild/protobuf";
import {
  DescriptorProtoSchema,
  EnumValueOptionsSchema,
  FieldDescriptorProto_Label,
  FieldDescriptorProto_Type,
  FieldDescriptorProtoSchema,
  FieldOptionsSchema,
  FileDescriptorProtoSchema,
  file_google_protobuf_descriptor,
  file_google_protobuf_duration,
  file_google_protobuf_timestamp,
  MethodOptionsSchema,
} from "@bufbuild/protobuf/wkt";
import {
  file_skynetes_v1_merge,
  MergeRuleSchema,
  MethodRuleSchema,
  merge,
  method as methodOption,
  type OrderBy,
  OrderBySchema,
  order_by,
  type Role,
  role,
} from "../../src/wire/generated/skynetes/v1/merge_pb.ts";

type Operator = NonNullable<MessageInitShape<typeof MergeRuleSchema>["operator"]>;

export interface FieldSource {
  readonly name: string;
  /** `int64`, `optional int64`, `repeated Row`, `Decimal`, `map`, `oneof int64` … */
  readonly type: string;
  readonly merge?: Operator;
  readonly role?: Role;
}

export interface ServiceSource {
  readonly messages: Readonly<Record<string, readonly FieldSource[]>>;
  readonly enums?: Readonly<Record<string, readonly (readonly [string, MessageInitShape<typeof OrderBySchema>?])[]>>;
  readonly methods?: readonly MethodSource[];
}

export interface MethodSource {
  readonly name: string;
  readonly rule?: MessageInitShape<typeof MethodRuleSchema>;
  readonly streams?: "requests" | "responses";
}

const FOREIGN: Readonly<Record<string, string>> = {
  Decimal: ".skynetes.v1.Decimal",
  Timestamp: ".google.protobuf.Timestamp",
  Duration: ".google.protobuf.Duration",
};

const IMPORTS: readonly DescFile[] = [
  file_skynetes_v1_merge,
  file_google_protobuf_timestamp,
  file_google_protobuf_duration,
];

/** The methods of service `t.S`; each takes `Req` and returns `Res`. */
export function methodsOf(source: ServiceSource): readonly DescMethod[] {
  const file = create(FileDescriptorProtoSchema, {
    name: "t.proto",
    package: "t",
    syntax: "proto3",
    dependency: IMPORTS.map((file) => file.proto.name),
    messageType: Object.entries(source.messages).map(([name, fields]) => messageOf(name, fields, source)),
    enumType: Object.entries(source.enums ?? {}).map(([name, values]) => ({
      name,
      value: values.map(([value, orderBy], number) => ({
        name: value,
        number,
        ...(orderBy ? { options: orderOptions(create(OrderBySchema, orderBy)) } : {}),
      })),
    })),
    service: [
      {
        name: "S",
        method: (source.methods ?? [{ name: "Ask" }]).map(({ name, rule, streams }) => {
          const options = create(MethodOptionsSchema);
          if (rule !== undefined) setExtension(options, methodOption, create(MethodRuleSchema, rule));
          return {
            name,
            inputType: ".t.Req",
            outputType: ".t.Res",
            options,
            clientStreaming: streams === "requests",
            serverStreaming: streams === "responses",
          };
        }),
      },
    ],
  });
  const registry = createFileRegistry(
    file,
    (name) => [file_google_protobuf_descriptor, ...IMPORTS].find((one) => one.proto.name === name)?.proto,
  );
  return registry.getService("t.S")!.methods;
}

function orderOptions(orderBy: OrderBy) {
  const options = create(EnumValueOptionsSchema);
  setExtension(options, order_by, orderBy);
  return options;
}

function messageOf(name: string, fields: readonly FieldSource[], source: ServiceSource) {
  const message = create(DescriptorProtoSchema, { name });
  for (const [index, field] of fields.entries()) {
    const words = field.type.split(" ");
    const label = words.length > 1 ? words[0] : "";
    const options = create(FieldOptionsSchema);
    if (field.merge !== undefined) setExtension(options, merge, create(MergeRuleSchema, { operator: field.merge }));
    if (field.role !== undefined) setExtension(options, role, field.role);
    const proto = create(FieldDescriptorProtoSchema, {
      name: field.name,
      jsonName: field.name,
      number: index + 1,
      label: label === "repeated" ? FieldDescriptorProto_Label.REPEATED : FieldDescriptorProto_Label.OPTIONAL,
      options,
      ...typeOf(words.at(-1)!, source),
    });
    if (label === "optional" || label === "oneof") {
      proto.proto3Optional = label === "optional";
      proto.oneofIndex = message.oneofDecl.length;
      message.oneofDecl.push({ $typeName: "google.protobuf.OneofDescriptorProto", name: `_${field.name}` });
    }
    message.field.push(proto);
  }
  return message;
}

function typeOf(name: string, source: ServiceSource) {
  const scalar = FieldDescriptorProto_Type[name.toUpperCase() as keyof typeof FieldDescriptorProto_Type];
  // Messages begin with a capital: `Group` is not the ancient wire type.
  if (scalar !== undefined && name === name.toLowerCase()) return { type: scalar };
  const isEnum = source.enums !== undefined && name in source.enums;
  return {
    type: isEnum ? FieldDescriptorProto_Type.ENUM : FieldDescriptorProto_Type.MESSAGE,
    typeName: FOREIGN[name] ?? `.t.${name}`,
  };
}

/** `rule("sum")`, `rule("group", { key: ["k"] })`. */
export function rule<C extends NonNullable<Operator["case"]>>(
  name: C,
  value?: Extract<Operator, { case: C }>["value"],
): Operator {
  return { case: name, value: value ?? {} } as Operator;
}
