import { Fault } from "../fault/fault.ts";
import type { ColumnSpec, TopicSpec } from "../mesh/table-spec.ts";
import { avroCodec } from "./avro-codec.ts";
import { jsonRows } from "./json-rows.ts";
import { protobufCodec } from "./protobuf-codec.ts";
import type { Misfit, RowCodec, RowReader } from "./row-codec.ts";

export type RecordFormat = Pick<TopicSpec, "format" | "schema">;

/** Fault `invalid-manifest`; a manifest that was checked has none. */
export function rowReader(record: RecordFormat, columns: readonly ColumnSpec[]): RowReader {
  return record.format === "JSON" ? jsonRows(columns) : rowCodec(record, columns);
}

/** JSON rows as values of the topic's records. Throws `RowReject`. Fault `invalid-manifest`. */
export function valueEncoder(record: RecordFormat, columns: readonly ColumnSpec[]): (json: Uint8Array) => Uint8Array {
  if (record.format === "JSON") return (json) => json;
  const rows = jsonRows(columns);
  const codec = rowCodec(record, columns);
  return (json) => codec.write(rows.read(json));
}

/** Empty: the table can be made of the topic's records. */
export function misfits(record: RecordFormat, columns: readonly ColumnSpec[]): readonly Misfit[] {
  const found = record.format === "JSON" ? [] : findCodec(record, columns);
  return Array.isArray(found) ? found : [];
}

function rowCodec(record: RecordFormat, columns: readonly ColumnSpec[]): RowCodec {
  const found = findCodec(record, columns);
  if (!Array.isArray(found)) return found;
  const reasons = found.map(({ column, reason }) => (column === undefined ? reason : `column "${column}": ${reason}`));
  throw new Fault("invalid-manifest", `read records of format ${record.format}: ${reasons.join("; ")}`);
}

function findCodec({ format, schema }: RecordFormat, columns: readonly ColumnSpec[]): RowCodec | Misfit[] {
  if (schema === undefined) return [{ reason: "the schema is missing" }];
  return format === "Avro" ? avroCodec(schema, columns) : protobufCodec(schema, columns);
}
