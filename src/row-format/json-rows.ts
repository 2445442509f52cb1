import { isUtf8 } from "node:buffer";
import type { ColumnSpec } from "../mesh/table-spec.ts";
import { JsonRowReader } from "./json-row.ts";
import type { RowReader } from "./row-codec.ts";
import { RowReject } from "./row-reject.ts";

/** Values are JSON objects in UTF-8. */
export function jsonRows(columns: readonly ColumnSpec[]): RowReader {
  const reader = new JsonRowReader(columns);
  return { read: (value) => reader.read(utf8Text(value, "value")) };
}

/** Throws `RowReject`, naming `what`. */
export function utf8Text(bytes: Uint8Array, what: string): string {
  if (!isUtf8(bytes)) throw new RowReject(`the ${what} is not UTF-8`);
  // A Buffer over the same memory: `toString` of a plain Uint8Array would list its numbers.
  const buffer = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return buffer.toString("utf8");
}
