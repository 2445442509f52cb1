import { createHash } from "node:crypto";
import type { TableSpec } from "../../../mesh/table-spec.ts";
import { keyText } from "../../../mysql/canonical-text.ts";
import type { MySqlSession, Parameter } from "../../../mysql/mysql-pool.ts";
import { qualified, quoted } from "../../../mysql/quote.ts";
import { parameterWriter } from "../../../mysql/stored-column.ts";
import type { DecodedRecord, RejectedRecord } from "../shard-store.ts";
import { META, storedColumns } from "./mysql-schema.ts";

/** A server prepares each number of rows once, so there are few of them. */
const ROWS_A_STATEMENT = [512, 64, 8, 1];
const PARAMETERS_MAX = 65_535;
/** A quarter of the least `max_allowed_packet` that is usual. A single row may be larger, up to the server's own bound. */
const STATEMENT_BYTES_MAX = 4 << 20;

export function insertRecords(
  session: MySqlSession,
  database: string,
  table: TableSpec,
  records: readonly DecodedRecord[],
): Promise<void> {
  const writers = table.columns.map(({ type }) => parameterWriter(type));
  const key = table.kind === "Upsert" ? keyDigest(table) : undefined;
  return insert(session, qualified(database, table.name), storedColumns(table), records, (record) => [
    record.partition,
    String(record.offset),
    record.tombstone ? 1 : 0,
    ...(key === undefined ? [] : [key(record)]),
    ...record.values.map((value, i) => (value === null ? null : writers[i]!(value))),
  ]);
}

export function insertRejects(
  session: MySqlSession,
  database: string,
  rejects: readonly RejectedRecord[],
): Promise<void> {
  const columns = ["topic", "partition", "offset", "timestamp_ms", "reason", "key", "value"];
  const bytes = (value: Uint8Array | null) => (value === null ? null : Buffer.from(value));
  return insert(session, qualified(database, META.rejects), columns, rejects, (reject) => [
    reject.topic,
    reject.partition,
    String(reject.offset),
    String(Math.trunc(reject.timestampMs)),
    reject.reason,
    bytes(reject.key),
    bytes(reject.value),
  ]);
}

function keyDigest(table: TableSpec): (record: DecodedRecord) => Buffer {
  const places = table.key.map((name) => table.columns.findIndex((column) => column.name === name));
  const types = places.map((place) => table.columns[place]!.type);
  return ({ values }) => {
    const text = keyText(
      types,
      places.map((place) => values[place] ?? null),
    );
    return createHash("sha256").update(text).digest();
  };
}

async function insert<T>(
  session: MySqlSession,
  table: string,
  columns: readonly string[],
  items: readonly T[],
  parametersOf: (item: T) => Parameter[],
): Promise<void> {
  const head = `INSERT INTO ${table} (${columns.map(quoted).join(", ")}) VALUES `;
  const row = `(${columns.map(() => "?").join(", ")})`;
  const sizes = ROWS_A_STATEMENT.filter((rows) => rows * columns.length <= PARAMETERS_MAX);
  let waiting: Parameter[][] = [];
  let bytes = 0;
  const flush = async () => {
    for (let at = 0; at < waiting.length; ) {
      const count = sizes.find((size) => size <= waiting.length - at)!;
      const sql = head + Array<string>(count).fill(row).join(", ");
      await session.run(sql, waiting.slice(at, at + count).flat());
      at += count;
    }
    waiting = [];
    bytes = 0;
  };
  for (const item of items) {
    const parameters = parametersOf(item);
    const size = parameters.reduce<number>((sum, value) => sum + sizeOf(value), 0);
    if (waiting.length >= sizes[0]! || bytes + size > STATEMENT_BYTES_MAX) await flush();
    waiting.push(parameters);
    bytes += size;
  }
  await flush();
}

function sizeOf(value: Parameter): number {
  if (typeof value === "string") return Buffer.byteLength(value);
  return value instanceof Buffer ? value.length : 8;
}
