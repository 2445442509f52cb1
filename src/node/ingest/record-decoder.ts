import type { LogRecord } from "../../log/log.ts";
import type { ColumnSpec, TableSpec } from "../../mesh/table-spec.ts";
import { valueParser } from "../../row-format/column-value.ts";
import { utf8Text } from "../../row-format/json-rows.ts";
import { type RecordFormat, rowReader } from "../../row-format/record-format.ts";
import type { RowReader } from "../../row-format/row-codec.ts";
import { RowReject } from "../../row-format/row-reject.ts";
import type { DecodedRecord, StoreValue } from "../store/shard-store.ts";

/** A record of one partition as a row of its table, or the reason why it can be none. */
export type RecordDecoder = (record: LogRecord, partition: number) => DecodedRecord | RowReject;

const JSON_RECORDS: RecordFormat = { format: "JSON" };

/**
 * Values are in the topic's format. Records of upsert tables also need a key, since it decided the partition and is all
 * that a tombstone has: the key column's value as text, or a JSON array of them where the key has several columns,
 * whatever the values' format. Fault `invalid-manifest`: the table's columns are not in the topic's schema.
 */
export function recordDecoder(table: TableSpec, format: RecordFormat = JSON_RECORDS): RecordDecoder {
  const row = rowReader(format, table.columns);
  const key = table.kind === "Upsert" ? keyReader(table) : undefined;
  return (record, partition) => {
    try {
      const { offset } = record;
      const { values, tombstone } = decode(record, row, key);
      return { table: table.name, partition, offset, values, tombstone };
    } catch (error) {
      if (error instanceof RowReject) return error;
      throw error;
    }
  };
}

function decode(
  record: LogRecord,
  row: RowReader,
  key: KeyReader | undefined,
): { values: readonly StoreValue[]; tombstone: boolean } {
  if (key === undefined) {
    if (record.value === null) throw new RowReject("a record without value, and the table is no upsert table");
    return { values: row.read(record.value), tombstone: false };
  }
  if (record.key === null) throw new RowReject("a record without key in an upsert table");
  const keyed = key.read(utf8Text(record.key, "key"));
  if (record.value === null) return { values: keyed, tombstone: true };
  const values = row.read(record.value);
  key.check(values, keyed);
  return { values, tombstone: false };
}

interface KeyReader {
  /** Values of a row that has its key columns only. */
  read(text: string): StoreValue[];
  /** A row under another key than its own could never be replaced or removed. */
  check(values: readonly StoreValue[], keyed: readonly StoreValue[]): void;
}

function keyReader(table: TableSpec): KeyReader {
  const indexes = table.key.map((name) => table.columns.findIndex((column) => column.name === name));
  const columns = indexes.map((i) => table.columns[i]!);
  const parse = columns.length === 1 ? [plainKeyParser(columns[0]!)] : columns.map(arrayKeyParser);
  return {
    read(text) {
      const parts = columns.length === 1 ? [text] : keyArray(text, columns.length);
      const values = new Array<StoreValue>(table.columns.length).fill(null);
      indexes.forEach((column, i) => {
        values[column] = parse[i]!(parts[i]);
      });
      return values;
    },
    check(values, keyed) {
      for (const i of indexes) {
        if (!sameValue(values[i]!, keyed[i]!)) {
          throw new RowReject(`field "${table.columns[i]!.name}" differs from the record's key`);
        }
      }
    },
  };
}

function plainKeyParser(column: ColumnSpec): (part: unknown) => StoreValue {
  const parser = valueParser(column.type);
  if (column.type === "BOOLEAN") return (part) => arrayKeyParser(column)(part === "true" || (part !== "false" && part));
  if (column.type === "DOUBLE") return (part) => parser.fromNumber(jsonNumber(part as string));
  return (part) => parser.fromString(part as string);
}

function jsonNumber(text: string): string {
  if (!/^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/.test(text)) throw new RowReject("the key is not a number");
  return text;
}

function arrayKeyParser(column: ColumnSpec): (part: unknown) => StoreValue {
  const parser = valueParser(column.type);
  return (part) => {
    if (typeof part === "string") return parser.fromString(part);
    if (typeof part === "boolean") return parser.fromBoolean(part);
    if (part instanceof NumberText) return parser.fromNumber(part.text);
    throw new RowReject(`the key has no value for "${column.name}"`);
  };
}

/** A JSON number as it was written. */
class NumberText {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

function keyArray(text: string, length: number): unknown[] {
  let parts: unknown;
  try {
    parts = JSON.parse(text, (_name, value: unknown, context?: { source?: string }) =>
      typeof value === "number" ? new NumberText(context?.source ?? String(value)) : value,
    );
  } catch {
    throw new RowReject("the key is not JSON");
  }
  if (!Array.isArray(parts) || parts.length !== length) throw new RowReject(`the key is no array of ${length} values`);
  return parts;
}

function sameValue(a: StoreValue, b: StoreValue): boolean {
  if (a instanceof Uint8Array && b instanceof Uint8Array) return Buffer.compare(a, b) === 0;
  return a === b;
}
