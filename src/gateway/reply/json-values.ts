/** The JSON of single values, read from the wire: each is the text that protobuf JSON has for it. */
import { type DescField, ScalarType } from "@bufbuild/protobuf";
import { FeatureSet_FieldPresence } from "@bufbuild/protobuf/wkt";
import type { ByteSink } from "../../wire/byte-sink.ts";
import type { WireCursor } from "../../wire/wire-cursor.ts";
import { writeJsonReal, writeJsonText } from "./json-text.ts";

export type WriteValue = (sink: ByteSink, from: WireCursor) => void;

/** What stands there when the field is not set; undefined where nothing does. */
export function unsetJson(field: DescField): Buffer | undefined {
  if (field.fieldKind === "list") return Buffer.from("[]");
  if (field.presence !== FeatureSet_FieldPresence.IMPLICIT || field.oneof !== undefined) return undefined;
  if (field.fieldKind === "enum") return enumJson(field, 0);
  switch (field.fieldKind === "scalar" ? field.scalar : undefined) {
    case undefined:
      return undefined;
    case ScalarType.BOOL:
      return Buffer.from("false");
    case ScalarType.STRING:
    case ScalarType.BYTES:
      return Buffer.from('""');
    case ScalarType.INT64:
    case ScalarType.UINT64:
    case ScalarType.SINT64:
    case ScalarType.FIXED64:
    case ScalarType.SFIXED64:
      return Buffer.from('"0"');
    default:
      return Buffer.from("0");
  }
}

function enumJson(field: DescField, value: number): Buffer {
  if (field.enum?.typeName === "google.protobuf.NullValue") return Buffer.from("null");
  return Buffer.from(JSON.stringify(field.enum?.value[value]?.jsonName ?? value));
}

export function enumValue(field: DescField): WriteValue {
  const known = new Map(field.enum!.values.map(({ number }) => [number, enumJson(field, number)]));
  return (sink, from) => {
    const value = from.varint32() | 0;
    const json = known.get(value) ?? enumJson(field, value);
    sink.copy(json, 0, json.length);
  };
}

export function scalarValue(field: DescField): WriteValue {
  switch (field.scalar as ScalarType) {
    case ScalarType.BOOL:
      return (sink, from) => sink.ascii(from.varint32() === 0 ? "false" : "true");
    case ScalarType.STRING:
      return (sink, from) => {
        const end = from.varint32() + from.at;
        writeJsonText(sink, from.bytes, from.at, end);
        from.at = end;
      };
    case ScalarType.BYTES:
      return (sink, from) => sink.ascii(`"${from.delimited().toString("base64")}"`);
    case ScalarType.DOUBLE:
      return (sink, from) => writeJsonReal(sink, from.double());
    case ScalarType.FLOAT:
      return (sink, from) => writeJsonReal(sink, from.float());
    case ScalarType.INT32:
      return (sink, from) => sink.ascii(String(from.varint32() | 0));
    case ScalarType.UINT32:
      return (sink, from) => sink.ascii(String(from.varint32()));
    case ScalarType.SINT32:
      return (sink, from) => {
        const zigzag = from.varint32();
        sink.ascii(String((zigzag >>> 1) ^ -(zigzag & 1)));
      };
    case ScalarType.FIXED32:
      return (sink, from) => sink.ascii(String(from.fixed32() >>> 0));
    case ScalarType.SFIXED32:
      return (sink, from) => sink.ascii(String(from.fixed32()));
    case ScalarType.INT64:
    case ScalarType.UINT64: {
      const isSigned = field.scalar === ScalarType.INT64;
      return (sink, from) => {
        from.varint64();
        writeLong(sink, from.low, from.high, isSigned);
      };
    }
    case ScalarType.SINT64:
      return (sink, from) => {
        from.varint64();
        const sign = -(from.low & 1);
        const low = ((from.low >>> 1) | (from.high << 31)) ^ sign;
        writeLong(sink, low, (from.high >>> 1) ^ sign, true);
      };
    case ScalarType.FIXED64:
    case ScalarType.SFIXED64: {
      const isSigned = field.scalar === ScalarType.SFIXED64;
      return (sink, from) => {
        const low = from.fixed32();
        writeLong(sink, low, from.fixed32(), isSigned);
      };
    }
  }
}

/** Below 2^53 without bigints. */
function writeLong(sink: ByteSink, low: number, high: number, isSigned: boolean): void {
  const top = isSigned ? high : high >>> 0;
  const isExact = top >= -0x200000 && top < 0x200000;
  const value = isExact ? top * 2 ** 32 + (low >>> 0) : (BigInt(top) << 32n) | BigInt(low >>> 0);
  sink.ascii(`"${value}"`);
}
