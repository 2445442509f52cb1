import { type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";

/** What a field's values are to us: the many wire types of protobuf, by what can be done with them. */
export type ValueType =
  | { readonly kind: "integer"; readonly name: string; readonly min: bigint; readonly max: bigint }
  | { readonly kind: "real"; readonly name: string; readonly single: boolean }
  | { readonly kind: "text" | "bytes" | "bool"; readonly name: string }
  | { readonly kind: "enum"; readonly name: string }
  | { readonly kind: "decimal"; readonly name: string }
  | { readonly kind: "instant"; readonly name: string }
  | { readonly kind: "message"; readonly name: string; readonly message: DescMessage }
  | { readonly kind: "map"; readonly name: string };

const SIGNED_32 = { min: -(2n ** 31n), max: 2n ** 31n - 1n };
const UNSIGNED_32 = { min: 0n, max: 2n ** 32n - 1n };
const SIGNED_64 = { min: -(2n ** 63n), max: 2n ** 63n - 1n };
const UNSIGNED_64 = { min: 0n, max: 2n ** 64n - 1n };

/** The type of a field's value, or of its elements where it is a list. */
export function valueTypeOf(field: DescField): ValueType {
  switch (field.fieldKind) {
    case "scalar":
      return scalarType(field.scalar);
    case "enum":
      return { kind: "enum", name: field.enum.typeName };
    case "message":
      return messageType(field.message);
    case "list":
      if (field.listKind === "scalar") return scalarType(field.scalar);
      if (field.listKind === "enum") return { kind: "enum", name: field.enum.typeName };
      return messageType(field.message);
    case "map":
      return { kind: "map", name: "map" };
  }
}

function messageType(message: DescMessage): ValueType {
  const name = message.typeName;
  if (name === "skynetes.v1.Decimal") return { kind: "decimal", name };
  if (name === "google.protobuf.Timestamp" || name === "google.protobuf.Duration") return { kind: "instant", name };
  return { kind: "message", name, message };
}

function scalarType(scalar: ScalarType): ValueType {
  const name = ScalarType[scalar].toLowerCase();
  switch (scalar) {
    case ScalarType.DOUBLE:
    case ScalarType.FLOAT:
      return { kind: "real", name, single: scalar === ScalarType.FLOAT };
    case ScalarType.INT32:
    case ScalarType.SINT32:
    case ScalarType.SFIXED32:
      return { kind: "integer", name, ...SIGNED_32 };
    case ScalarType.UINT32:
    case ScalarType.FIXED32:
      return { kind: "integer", name, ...UNSIGNED_32 };
    case ScalarType.INT64:
    case ScalarType.SINT64:
    case ScalarType.SFIXED64:
      return { kind: "integer", name, ...SIGNED_64 };
    case ScalarType.UINT64:
    case ScalarType.FIXED64:
      return { kind: "integer", name, ...UNSIGNED_64 };
    case ScalarType.BOOL:
      return { kind: "bool", name };
    case ScalarType.STRING:
      return { kind: "text", name };
    case ScalarType.BYTES:
      return { kind: "bytes", name };
  }
}
