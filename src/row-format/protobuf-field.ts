import { create, type DescField, type Message, ScalarType } from "@bufbuild/protobuf";
import { isReflectMessage, type ReflectMessage, reflect } from "@bufbuild/protobuf/reflect";
import { type Timestamp, TimestampSchema } from "@bufbuild/protobuf/wkt";
import type { FieldKind } from "./column-fit.ts";
import { quoted, RowReject } from "./row-reject.ts";
import type { SchemaField } from "./schema-columns.ts";

/** How a field's value is read and written by reflection. */
export interface ProtobufField extends SchemaField {
  /** From what reflection gives to what `kind` says. Throws `RowReject`. */
  decode(value: unknown): unknown;
  /** And back. Throws `RowReject`. */
  encode(value: unknown): unknown;
}

const same = (value: unknown) => value;

export function protobufField(field: DescField): ProtobufField {
  switch (field.fieldKind) {
    case "scalar":
      return {
        type: ScalarType[field.scalar].toLowerCase(),
        kind: scalarKind(field.scalar),
        ...scalarValues(field.scalar),
      };
    case "enum":
      return enumField(field);
    case "message":
      return messageField(field);
    default:
      return { type: field.fieldKind === "list" ? "repeated" : "map", kind: undefined, decode: same, encode: same };
  }
}

function scalarKind(scalar: ScalarType): FieldKind {
  switch (scalar) {
    case ScalarType.BOOL:
      return { kind: "boolean" };
    case ScalarType.STRING:
      return { kind: "text" };
    case ScalarType.BYTES:
      return { kind: "bytes" };
    case ScalarType.DOUBLE:
    case ScalarType.FLOAT:
      return { kind: "real", isSingle: scalar === ScalarType.FLOAT };
    case ScalarType.INT32:
    case ScalarType.SINT32:
    case ScalarType.SFIXED32:
      return { kind: "integer", is64: false };
    default:
      // Unsigned ones are read as wide as they are; what a column or a field cannot hold is refused value by value.
      return { kind: "integer", is64: true };
  }
}

function scalarValues(scalar: ScalarType): Pick<ProtobufField, "decode" | "encode"> {
  switch (scalar) {
    case ScalarType.UINT32:
    case ScalarType.FIXED32:
      return { decode: same, encode: (value) => Number(unsigned(value as bigint, 32)) };
    case ScalarType.UINT64:
    case ScalarType.FIXED64:
      return { decode: same, encode: (value) => unsigned(value as bigint, 64) };
    default:
      return { decode: same, encode: same };
  }
}

function unsigned(value: bigint, bits: number): bigint {
  if (BigInt.asUintN(bits, value) === value) return value;
  throw new RowReject(`${value} does not fit ${bits} bits without sign`);
}

/** By the names of its values. */
function enumField({ enum: desc }: DescField & { fieldKind: "enum" }): ProtobufField {
  return {
    type: desc.typeName,
    kind: { kind: "text" },
    decode(value) {
      const known = desc.value[value as number];
      if (known === undefined) throw new RowReject(`${value} is no value of ${desc.typeName}`);
      return known.name;
    },
    encode(value) {
      const known = desc.values.find(({ name }) => name === value);
      if (known === undefined) throw new RowReject(`${quoted(value as string)} is no value of ${desc.typeName}`);
      return known.number;
    },
  };
}

const DECIMALS: ReadonlySet<string> = new Set(["skynetes.v1.Decimal", "google.type.Decimal"]);

/** Well-known messages that are one value. */
function messageField({ message: desc }: DescField & { fieldKind: "message" }): ProtobufField {
  const { typeName: type } = desc;
  const made = (fields: Record<string, unknown>) => reflect(desc, create(desc, fields as never));
  if (type === TimestampSchema.typeName) {
    return {
      type,
      kind: { kind: "instant", unitNs: 1n },
      decode(value) {
        const { seconds, nanos } = plainMessage<Timestamp>(value);
        return seconds * SECOND_NS + BigInt(nanos);
      },
      encode(value) {
        const nanos = (((value as bigint) % SECOND_NS) + SECOND_NS) % SECOND_NS;
        return made({ seconds: ((value as bigint) - nanos) / SECOND_NS, nanos: Number(nanos) });
      },
    };
  }
  if (DECIMALS.has(type)) {
    return {
      type,
      kind: { kind: "text" },
      decode: (value) => plainMessage<Message & { value: string }>(value).value,
      encode: (value) => made({ value }),
    };
  }
  const [inner] = desc.fields;
  if (/^google\.protobuf\.[A-Z][A-Za-z0-9]+Value$/.test(type) && inner?.fieldKind === "scalar") {
    const { kind, decode, encode } = protobufField(inner);
    return {
      type,
      kind,
      decode: (value) => decode(reflectedOf(value).get(inner)),
      encode(value) {
        const wrapper = reflect(desc, create(desc));
        wrapper.set(inner, encode(value) as never);
        return wrapper;
      },
    };
  }
  return { type, kind: undefined, decode: same, encode: same };
}

const SECOND_NS = 1_000_000_000n;

function reflectedOf(value: unknown): ReflectMessage {
  if (!isReflectMessage(value)) throw new TypeError("reflection gave no message for a message field");
  return value;
}

function plainMessage<T>(value: unknown): T {
  return reflectedOf(value).message as T;
}
