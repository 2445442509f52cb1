/**
 * Reading and writing the fields of messages whose types are known only from descriptors. A reader is made once for a
 * field and then costs a property access, where reflection would wrap every message and list it touches.
 *
 * Members of a oneof live elsewhere in a message and are not read here.
 */
import type { DescField, Message } from "@bufbuild/protobuf";
import { FeatureSet_FieldPresence } from "@bufbuild/protobuf/wkt";
import { valueTypeOf } from "./value-type.ts";

/** The value; undefined where the field has presence and is not set. Lists and maps are always there. */
export type FieldReader = (message: Message) => unknown;
export type FieldWriter = (message: Message, value: unknown) => void;

type Properties = Record<string, unknown>;

/** Whether "not set" differs from the zero value. */
export function hasPresence(field: DescField): boolean {
  if (field.fieldKind === "list" || field.fieldKind === "map") return false;
  return field.presence !== FeatureSet_FieldPresence.IMPLICIT;
}

export function fieldReader(field: DescField): FieldReader {
  const name = field.localName;
  const isLong = isLongAsString(field);
  if (hasPresence(field)) {
    return (message) => {
      if (!Object.hasOwn(message, name)) return undefined;
      const value = (message as unknown as Properties)[name];
      return isLong && typeof value === "string" ? BigInt(value) : value;
    };
  }
  if (isLong && field.fieldKind === "list") {
    return (message) => ((message as unknown as Properties)[name] as string[]).map(BigInt);
  }
  if (isLong) return (message) => BigInt((message as unknown as Properties)[name] as string);
  return (message) => (message as unknown as Properties)[name];
}

/** Like `fieldReader`, and undefined for zero values of fields without presence too: they are what "not set" reads as. */
export function setFieldReader(field: DescField): FieldReader {
  const read = fieldReader(field);
  if (hasPresence(field)) return read;
  return (message) => {
    const value = read(message);
    return isZero(value) ? undefined : value;
  };
}

function isZero(value: unknown): boolean {
  if (Array.isArray(value) || value instanceof Uint8Array) return value.length === 0;
  if (typeof value === "object" && value !== null) return Object.keys(value).length === 0;
  return value === 0 || value === 0n || value === "" || value === false;
}

/** Takes integers as bigints or numbers, whatever the field holds them as. */
export function fieldWriter(field: DescField): FieldWriter {
  const name = field.localName;
  const type = valueTypeOf(field);
  if (type.kind !== "integer") {
    return (message, value) => {
      (message as unknown as Properties)[name] = value;
    };
  }
  const convert = isLongAsString(field) ? String : type.max > 2n ** 32n ? toBigInt : Number;
  const write = (value: unknown) =>
    Array.isArray(value) ? value.map((one) => convert(one)) : convert(value as bigint);
  return (message, value) => {
    (message as unknown as Properties)[name] = write(value);
  };
}

function toBigInt(value: unknown): bigint {
  return BigInt(value as bigint | number);
}

function isLongAsString(field: DescField): boolean {
  if (field.fieldKind === "scalar") return field.longAsString;
  return field.fieldKind === "list" && field.listKind === "scalar" && field.longAsString;
}
