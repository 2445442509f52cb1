import { type DescField, isFieldSet, ScalarType } from "@bufbuild/protobuf";
import { Fault } from "../../fault/fault.ts";
import { compareText } from "./compare-text.ts";
import { compareDecimals, parseDecimal } from "./decimal.ts";

/** Fields of a message or of what a message is made from, by their names in TypeScript. */
export type Fields = Readonly<Record<string, unknown>>;

export type CompareValues = (a: unknown, b: unknown) => number;

/** Reads a field of a message or of its init shape; undefined where a field with presence is not set. */
export function fieldReader(field: DescField): (fields: Fields) => unknown {
  if (field.oneof !== undefined) throw unordered(field, "it is in a oneof");
  const name = field.localName;
  if (field.fieldKind === "message") return (fields) => fields[name];
  if (field.presence === IMPLICIT_PRESENCE) {
    const zero = zeroOf(field);
    return (fields) => fields[name] ?? zero;
  }
  // A message carries the defaults of its unset fields on its prototype (editions and proto2); an init shape has none.
  return (fields) =>
    typeof fields.$typeName === "string" && !isFieldSet(fields as never, field) ? undefined : fields[name];
}

const IMPLICIT_PRESENCE = 2;

function zeroOf(field: DescField): unknown {
  if (field.fieldKind === "enum") return 0;
  if (field.fieldKind !== "scalar") throw unordered(field, "it is repeated");
  switch (field.scalar) {
    case ScalarType.STRING:
      return "";
    case ScalarType.BYTES:
      return new Uint8Array();
    case ScalarType.BOOL:
      return false;
    default:
      return isWide(field.scalar) ? 0n : 0;
  }
}

function isWide(scalar: ScalarType): boolean {
  return (
    scalar === ScalarType.INT64 ||
    scalar === ScalarType.UINT64 ||
    scalar === ScalarType.SINT64 ||
    scalar === ScalarType.FIXED64 ||
    scalar === ScalarType.SFIXED64
  );
}

/** The order of a field's values, ascending; unset before everything set, as in protobuf's zero values. */
export function fieldComparison(field: DescField): CompareValues {
  const compare = comparisonOfSet(field);
  return (a, b) => {
    if (a === undefined || b === undefined) return Number(a !== undefined) - Number(b !== undefined);
    return compare(a, b);
  };
}

function comparisonOfSet(field: DescField): CompareValues {
  if (field.fieldKind === "enum") return compareNumbers;
  if (field.fieldKind === "message") return comparisonOfMessage(field, field.message.typeName);
  if (field.fieldKind !== "scalar") throw unordered(field, "it is repeated");
  switch (field.scalar) {
    case ScalarType.STRING:
      return (a, b) => compareText(a as string, b as string);
    case ScalarType.BYTES:
      return (a, b) => Buffer.compare(a as Uint8Array, b as Uint8Array);
    default:
      // An init shape may hold a 64-bit field as number or string; messages hold bigints.
      return compareNumbers;
  }
}

function comparisonOfMessage(field: DescField, typeName: string): CompareValues {
  switch (typeName) {
    case "google.protobuf.Timestamp":
    case "google.protobuf.Duration":
      return (a, b) => {
        const [x, y] = [a as SecondsAndNanos, b as SecondsAndNanos];
        return compareNumbers(x.seconds ?? 0n, y.seconds ?? 0n) || compareNumbers(x.nanos ?? 0, y.nanos ?? 0);
      };
    case "skynetes.v1.Decimal":
      return (a, b) =>
        compareDecimals(parseDecimal((a as { value?: string }).value), parseDecimal((b as { value?: string }).value));
    default:
      throw unordered(field, `${typeName} has no order`);
  }
}

interface SecondsAndNanos {
  readonly seconds?: bigint;
  readonly nanos?: number;
}

export function compareNumbers(a: unknown, b: unknown): number {
  const [x, y] = [a as number, b as number];
  return x < y ? -1 : x > y ? 1 : 0;
}

function unordered(field: DescField, reason: string): Fault {
  return new Fault("invalid-service", `order by ${field.parent.typeName}.${field.name}: ${reason}`);
}
