/** JSON texts written as bytes, the same as `JSON.stringify` writes them. */
import type { ByteSink } from "../../wire/byte-sink.ts";

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** A string that is there in UTF-8: most need no escape and are copied. */
export function writeJsonText(sink: ByteSink, source: Uint8Array, start: number, end: number): void {
  sink.reserve(end - start + 2);
  const mark = sink.at;
  const { bytes } = sink;
  let at = mark;
  bytes[at++] = QUOTE;
  for (let i = start; i < end; i++) {
    const byte = source[i]!;
    if (byte < 0x20 || byte === QUOTE || byte === BACKSLASH) {
      sink.at = mark;
      writeEscaped(sink, source, start, end);
      return;
    }
    bytes[at++] = byte;
  }
  bytes[at++] = QUOTE;
  sink.at = at;
}

function writeEscaped(sink: ByteSink, source: Uint8Array, start: number, end: number): void {
  sink.text(JSON.stringify(Buffer.from(source.buffer, source.byteOffset + start, end - start).toString()));
}

/** JSON has no NaN and no infinities: protobuf writes them as strings. */
export function writeJsonReal(sink: ByteSink, value: number): void {
  sink.ascii(Number.isFinite(value) ? JSON.stringify(value) : `"${value}"`);
}
