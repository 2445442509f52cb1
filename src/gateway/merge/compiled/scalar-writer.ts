/** Writes what one column has of a row, in protobuf's wire format: the same bytes as the library. */
import { type DescField, ScalarType } from "@bufbuild/protobuf";
import type { ByteSink } from "../../../wire/byte-sink.ts";
import type { Column } from "./column.ts";

const word = new DataView(new ArrayBuffer(8));
const wordBytes = new Uint8Array(word.buffer);

export const WIRE_TYPES: Readonly<Partial<Record<ScalarType, number>>> = {
  [ScalarType.STRING]: 2,
  [ScalarType.BYTES]: 2,
  [ScalarType.DOUBLE]: 1,
  [ScalarType.FIXED64]: 1,
  [ScalarType.SFIXED64]: 1,
  [ScalarType.FLOAT]: 5,
  [ScalarType.FIXED32]: 5,
  [ScalarType.SFIXED32]: 5,
};

export function tagOf(field: DescField, wireType: number): Uint8Array {
  const bytes: number[] = [];
  let tag = ((field.number << 3) | wireType) >>> 0;
  for (; tag >= 0x80; tag >>>= 7) bytes.push((tag & 0x7f) | 0x80);
  return Uint8Array.from([...bytes, tag]);
}

export function writeVarint32(sink: ByteSink, value: number): void {
  sink.reserve(5);
  const { bytes } = sink;
  let rest = value;
  for (; rest >= 0x80; rest >>>= 7) bytes[sink.at++] = (rest & 0x7f) | 0x80;
  bytes[sink.at++] = rest;
}

function writeVarint64(sink: ByteSink, low: number, high: number): void {
  sink.reserve(10);
  const { bytes } = sink;
  let [lower, upper] = [low >>> 0, high >>> 0];
  while (upper > 0 || lower >= 0x80) {
    bytes[sink.at++] = (lower & 0x7f) | 0x80;
    lower = ((lower >>> 7) | (upper << 25)) >>> 0;
    upper >>>= 7;
  }
  bytes[sink.at++] = lower;
}

/** An integer of a column, whichever way it is kept. */
export function writeInteger(sink: ByteSink, codec: ScalarType, column: Column, row: number): void {
  const value = column.values[row]!;
  if (Number.isNaN(value)) {
    const wide = BigInt.asUintN(64, column.integer(row));
    writeWords(sink, codec, Number(wide & 0xffffffffn) | 0, Number(wide >> 32n) | 0);
  } else writeExactInteger(sink, codec, value);
}

/** An integer below 2^53. */
export function writeExactInteger(sink: ByteSink, codec: ScalarType, value: number): void {
  if (value >= 0 && value < 0x80000000 && isPlainVarint(codec)) writeVarint32(sink, value);
  else writeWords(sink, codec, value | 0, Math.floor(value / 0x100000000) | 0);
}

function isPlainVarint(codec: ScalarType): boolean {
  return codec === ScalarType.INT64 || codec === ScalarType.INT32 || codec === ScalarType.UINT64;
}

function writeWords(sink: ByteSink, codec: ScalarType, low: number, high: number): void {
  switch (codec) {
    case ScalarType.SINT32:
      writeVarint32(sink, ((low << 1) ^ (low >> 31)) >>> 0);
      return;
    case ScalarType.SINT64: {
      const sign = high >> 31;
      writeVarint64(sink, (low << 1) ^ sign, ((high << 1) | (low >>> 31)) ^ sign);
      return;
    }
    case ScalarType.FIXED32:
    case ScalarType.SFIXED32:
      word.setInt32(0, low, true);
      sink.copy(wordBytes, 0, 4);
      return;
    case ScalarType.FIXED64:
    case ScalarType.SFIXED64:
      word.setInt32(0, low, true);
      word.setInt32(4, high, true);
      sink.copy(wordBytes, 0, 8);
      return;
    case ScalarType.UINT32:
      writeVarint32(sink, low >>> 0);
      return;
    default:
      writeVarint64(sink, low, high);
  }
}

export function writeReal(sink: ByteSink, isSingle: boolean, value: number): void {
  if (isSingle) word.setFloat32(0, value, true);
  else word.setFloat64(0, value, true);
  sink.copy(wordBytes, 0, isSingle ? 4 : 8);
}
