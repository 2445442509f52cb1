import { type DescEnum, type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";

export type JsonSchema = { readonly [key: string]: unknown };

/** Schemas of messages and enums by type name, for a document's `components`. */
export type SchemaDrawer = Map<string, JsonSchema>;

/** The JSON of protobuf's own types is not that of their fields: https://protobuf.dev/programming-guides/json/. */
const WELL_KNOWN: Readonly<Record<string, JsonSchema>> = {
  "google.protobuf.Timestamp": { type: "string", format: "date-time" },
  "google.protobuf.Duration": { type: "string", pattern: "^-?\\d+(\\.\\d+)?s$" },
  "google.protobuf.FieldMask": { type: "string" },
  "google.protobuf.Struct": { type: "object" },
  "google.protobuf.Value": {},
  "google.protobuf.ListValue": { type: "array", items: {} },
  "google.protobuf.Empty": { type: "object" },
  "google.protobuf.Any": { type: "object", properties: { "@type": { type: "string" } } },
  "google.protobuf.BoolValue": { type: "boolean" },
  "google.protobuf.StringValue": { type: "string" },
  "google.protobuf.BytesValue": { type: "string", contentEncoding: "base64" },
  "google.protobuf.DoubleValue": { type: ["number", "string"] },
  "google.protobuf.FloatValue": { type: ["number", "string"] },
  "google.protobuf.Int32Value": { type: "integer" },
  "google.protobuf.UInt32Value": { type: "integer", minimum: 0 },
  "google.protobuf.Int64Value": { type: ["string", "integer"], pattern: "^-?\\d+$" },
  "google.protobuf.UInt64Value": { type: ["string", "integer"], pattern: "^\\d+$" },
};

/** A reference to the message's schema, which is put into the drawer with all that it needs. */
export function messageSchema(desc: DescMessage, drawer: SchemaDrawer): JsonSchema {
  const known = WELL_KNOWN[desc.typeName];
  if (known !== undefined) return known;
  if (!drawer.has(desc.typeName)) {
    // A place is taken first, so that a message that holds itself ends.
    drawer.set(desc.typeName, {});
    const properties = Object.fromEntries(desc.fields.map((field) => [field.jsonName, fieldSchema(field, drawer)]));
    drawer.set(desc.typeName, { type: "object", properties, additionalProperties: false });
  }
  return { $ref: `#/components/schemas/${desc.typeName}` };
}

function fieldSchema(field: DescField, drawer: SchemaDrawer): JsonSchema {
  const single = field.message
    ? messageSchema(field.message, drawer)
    : field.enum
      ? enumSchema(field.enum, drawer)
      : scalarSchema(field.scalar as ScalarType);
  if (field.fieldKind === "list") return { type: "array", items: single };
  if (field.fieldKind === "map") return { type: "object", additionalProperties: single };
  return single;
}

function enumSchema(desc: DescEnum, drawer: SchemaDrawer): JsonSchema {
  if (desc.typeName === "google.protobuf.NullValue") return { type: "null" };
  drawer.set(desc.typeName, { type: "string", enum: desc.values.map((value) => value.name) });
  return { $ref: `#/components/schemas/${desc.typeName}` };
}

/** 64-bit integers are written as strings, so that no reader rounds them; numbers are read too. */
function scalarSchema(scalar: ScalarType): JsonSchema {
  switch (scalar) {
    case ScalarType.BOOL:
      return { type: "boolean" };
    case ScalarType.STRING:
      return { type: "string" };
    case ScalarType.BYTES:
      return { type: "string", contentEncoding: "base64" };
    case ScalarType.DOUBLE:
    case ScalarType.FLOAT:
      return { type: ["number", "string"] };
    case ScalarType.INT32:
    case ScalarType.SINT32:
    case ScalarType.SFIXED32:
      return { type: "integer" };
    case ScalarType.UINT32:
    case ScalarType.FIXED32:
      return { type: "integer", minimum: 0 };
    case ScalarType.INT64:
    case ScalarType.SINT64:
    case ScalarType.SFIXED64:
      return { type: ["string", "integer"], format: "int64", pattern: "^-?\\d+$" };
    case ScalarType.UINT64:
    case ScalarType.FIXED64:
      return { type: ["string", "integer"], format: "uint64", pattern: "^\\d+$" };
  }
}
