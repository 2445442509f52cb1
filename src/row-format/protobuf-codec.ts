import {
  create,
  createFileRegistry,
  type DescField,
  type DescMessage,
  fromBinary,
  type Message,
  toBinary,
} from "@bufbuild/protobuf";
import { reflect } from "@bufbuild/protobuf/reflect";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import type { ColumnSpec, RecordSchema } from "../mesh/table-spec.ts";
import { protobufField } from "./protobuf-field.ts";
import { registryHeader } from "./registry-header.ts";
import type { Misfit, RowCodec } from "./row-codec.ts";
import { RowReject } from "./row-reject.ts";
import { areFitted, fitColumns } from "./schema-columns.ts";

/** One protobuf message, with a registry's header or none. Fields that the schema does not know are passed over. */
export function protobufCodec(schema: RecordSchema, columns: readonly ColumnSpec[]): RowCodec | Misfit[] {
  const message = findMessage(schema);
  if (typeof message === "string") return [{ reason: message }];
  const fields = new Map(message.fields.map((field) => [field.name, { desc: field, ...protobufField(field) }]));
  const fitted = fitColumns(columns, (name) => fields.get(name));
  if (!areFitted(fitted)) return fitted;
  const header = registryHeader(schema, messageIndexes(message));
  const kept = fitted.map((column) => ({ column, field: fields.get(column.spec.name)! }));
  return {
    read(value) {
      const row = reflect(message, messageOf(message, header.strip(value)));
      return kept.map(({ column, field }) => {
        const { desc } = field;
        return column.read(hasValue(desc, row.isSet(desc)) ? field.decode(row.get(desc)) : null);
      });
    },
    write(values) {
      const row = reflect(message, create(message));
      for (const [i, { column, field }] of kept.entries()) {
        const written = column.write(values[i]!);
        if (written !== null) row.set(field.desc, field.encode(written) as never);
      }
      return Buffer.concat([header.bytes, toBinary(message, row.message as Message)]);
    },
  };
}

/** Zero is a value of a field without presence. */
function hasValue(field: DescField, isSet: boolean): boolean {
  return isSet || field.presence === IMPLICIT;
}

/** google.protobuf.FeatureSet.FieldPresence.IMPLICIT */
const IMPLICIT = 2;

function findMessage({ text, message: name }: RecordSchema): DescMessage | string {
  if (name === undefined) return "the name of the message is missing";
  try {
    const set = fromBinary(FileDescriptorSetSchema, Buffer.from(text, "base64"));
    const found = createFileRegistry(set).getMessage(name);
    return found ?? `the descriptor set has no message ${name}`;
  } catch (error) {
    return `no descriptor set: ${(error as Error).message}`;
  }
}

function messageOf(message: DescMessage, bytes: Uint8Array): Message {
  try {
    return fromBinary(message, bytes);
  } catch (error) {
    throw new RowReject(`no ${message.typeName}: ${(error as Error).message}`);
  }
}

/** Which message of its file it is, as clients of a registry write it: a count and an index in each level, zigzag. */
function messageIndexes(message: DescMessage): Uint8Array[] {
  const path: number[] = [];
  for (let at: DescMessage | undefined = message; at !== undefined; at = at.parent) {
    const siblings: readonly DescMessage[] =
      at.parent?.nestedMessages.filter((m) => !m.proto.options?.mapEntry) ?? at.file.messages;
    path.unshift(siblings.indexOf(at));
  }
  const long = Uint8Array.from([path.length, ...path].flatMap((number) => varint(2 * number)));
  // The first message of a file is written as one zero.
  return path.length === 1 && path[0] === 0 ? [Uint8Array.of(0), long] : [long];
}

function varint(value: number): number[] {
  return value < 128 ? [value] : [(value & 127) | 128, ...varint(value >>> 7)];
}
