import type { ColumnSpec, RecordSchema } from "../mesh/table-spec.ts";
import { type AvroField, type AvroRecord, parseAvroRecord } from "./avro-schema.ts";
import { registryHeader } from "./registry-header.ts";
import type { Misfit, RowCodec } from "./row-codec.ts";
import { RowReject } from "./row-reject.ts";
import { areFitted, fitColumns } from "./schema-columns.ts";

const NOTHING_BEHIND = [new Uint8Array()];

/** Avro's binary encoding of one record, by one schema, with a registry's header or none. */
export function avroCodec(schema: RecordSchema, columns: readonly ColumnSpec[]): RowCodec | Misfit[] {
  let record: AvroRecord;
  try {
    record = parseAvroRecord(schema.text);
  } catch (error) {
    return [{ reason: `no Avro schema that rows can be made of: ${(error as Error).message}` }];
  }
  const fitted = fitColumns(columns, (name) => record.fields.get(name));
  if (!areFitted(fitted)) return fitted;
  const header = registryHeader(schema, NOTHING_BEHIND);
  const kept = fitted.map((column) => ({
    column,
    name: column.spec.name,
    field: record.fields.get(column.spec.name)!,
  }));
  const others = [...record.fields].filter(([name]) => !columns.some((column) => column.name === name));
  return {
    read(value) {
      const row = recordOf(record, header.strip(value));
      return kept.map(({ column, name, field }) => column.read(row[name] === null ? null : field.decode(row[name])));
    },
    write(values) {
      const row: Record<string, unknown> = Object.fromEntries(others.map(([name, f]) => [name, f.defaultValue()]));
      for (const [i, { column, name, field }] of kept.entries()) row[name] = encoded(field, column.write(values[i]!));
      return Buffer.concat([header.bytes, bytesOf(record, row)]);
    },
  };
}

function encoded(field: AvroField, value: unknown): unknown {
  return value === null ? null : field.encode(value);
}

function recordOf({ type }: AvroRecord, bytes: Uint8Array): Record<string, unknown> {
  try {
    return type.fromBuffer(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  } catch (error) {
    // Whatever the library says of foreign bytes, even that it ran out of stack, is said of this record alone.
    throw new RowReject(`no Avro record of the schema: ${(error as Error).message}`);
  }
}

function bytesOf({ type }: AvroRecord, row: Record<string, unknown>): Buffer {
  try {
    return type.toBuffer(row);
  } catch (error) {
    throw new RowReject(`no value of the Avro schema: ${(error as Error).message}`);
  }
}
