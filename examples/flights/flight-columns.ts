import { Fault } from "../../src/fault/fault.ts";
import { optionalColumn, requiredColumn } from "../../src/service/load/column.ts";
import type { ColumnBatch, SnapshotReader } from "../../src/service/load/snapshot-reader.ts";
import { StringCodes } from "../../src/service/load/string-codes.ts";
import { sliced } from "../../src/service/sliced.ts";

/**
 * One shard's flights as columns, sorted by time, origin, destination, delay and distance: a time range is then a range
 * of rows, a day is one too, and `Search` streams in order without sorting. 24 bytes a row: 18 MB for 750,000 flights.
 */
export interface FlightColumns {
  readonly rows: number;
  /** Microseconds since 1970. */
  readonly time: BigInt64Array;
  readonly origin: Uint32Array;
  readonly destination: Uint32Array;
  readonly delay: Int32Array;
  readonly distance: Int32Array;
  readonly origins: StringCodes;
  readonly destinations: StringCodes;
  readonly byOrigin: RowsByCode;
  /** Days that have flights, ascending. */
  readonly days: readonly FlightDay[];
}

/** Rows of a day, the last one excluded. */
export interface FlightDay {
  /** YYYY-MM-DD, UTC. */
  readonly day: string;
  readonly firstRow: number;
  readonly endRow: number;
}

/** Row numbers, ascending, of each code: those of code c are `rows[start[c]] … rows[start[c + 1] - 1]`. */
export interface RowsByCode {
  readonly start: Uint32Array;
  readonly rows: Uint32Array;
}

const COLUMNS = ["date", "origin", "destination", "delay", "distance"] as const;

/** Fault `data-corrupt`: a null, or a delay or distance beyond 32 bits. */
export async function loadFlights(snapshot: SnapshotReader): Promise<FlightColumns> {
  const rows = Number(snapshot.tables.find((table) => table.name === "flights")?.rows ?? 0n);
  const time = new BigInt64Array(rows);
  const origin = new Uint32Array(rows);
  const destination = new Uint32Array(rows);
  const delay = new Int32Array(rows);
  const distance = new Int32Array(rows);
  const origins = new StringCodes();
  const destinations = new StringCodes();
  let row = 0;
  for await (const batch of snapshot.scan("flights", COLUMNS, { orderBy: COLUMNS })) {
    time.set(requiredColumn(batch, 0, "TIMESTAMP", "date").values, row);
    copyCodes(batch, 1, "origin", origins, origin, row);
    copyCodes(batch, 2, "destination", destinations, destination, row);
    copyIntegers(batch, 3, "delay", delay, row);
    copyIntegers(batch, 4, "distance", distance, row);
    row += batch.rows;
  }
  const byOrigin = await rowsByCode(origin, origins.strings.length);
  const days = daysOf(time);
  return { rows, time, origin, destination, delay, distance, origins, destinations, byOrigin, days };
}

/** Rough bytes of the columns. */
export function flightBytes(flights: FlightColumns): number {
  const { time, origin, destination, delay, distance, byOrigin } = flights;
  return [time, origin, destination, delay, distance, byOrigin.start, byOrigin.rows].reduce(
    (bytes, column) => bytes + column.byteLength,
    0,
  );
}

function copyCodes(
  batch: ColumnBatch,
  index: number,
  name: string,
  codes: StringCodes,
  into: Uint32Array,
  row: number,
): void {
  const column = requiredColumn(batch, index, "STRING", name);
  const toCode = codes.codesFor(column.dictionary);
  for (let i = 0; i < batch.rows; i++) into[row + i] = toCode[column.codes[i] as number] as number;
}

/** The table may declare the column INT32 or INT64; minutes and miles fit 32 bits, and half the memory. */
function copyIntegers(batch: ColumnBatch, index: number, name: string, into: Int32Array, row: number): void {
  if (batch.columns[index]?.type === "INT32") {
    into.set(requiredColumn(batch, index, "INT32", name).values, row);
    return;
  }
  const { values } = requiredColumn(batch, index, "INT64", name);
  // The halves of each number, low first as on every machine that Node.js runs on: no bigint is made per row.
  const halves = new Int32Array(values.buffer, values.byteOffset, 2 * batch.rows);
  for (let i = 0; i < batch.rows; i++) {
    const low = halves[2 * i] as number;
    if (halves[2 * i + 1] !== low >> 31) {
      throw new Fault("data-corrupt", `load flights: ${name} is ${values[i]}, which is beyond 32 bits`);
    }
    into[row + i] = low;
  }
}

/** A counting sort by code, which keeps the order of rows. */
async function rowsByCode(codes: Uint32Array, distinct: number): Promise<RowsByCode> {
  const start = new Uint32Array(distinct + 1);
  await sliced(codes.length, undefined, (from, to) => {
    for (let row = from; row < to; row++) {
      const after = (codes[row] as number) + 1;
      start[after] = (start[after] as number) + 1;
    }
  });
  for (let code = 0; code < distinct; code++) start[code + 1] = (start[code + 1] as number) + (start[code] as number);
  const next = start.slice();
  const rows = new Uint32Array(codes.length);
  await sliced(codes.length, undefined, (from, to) => {
    for (let row = from; row < to; row++) {
      const code = codes[row] as number;
      const place = next[code] as number;
      rows[place] = row;
      next[code] = place + 1;
    }
  });
  return { start, rows };
}

const DAY_MICROS = 86_400_000_000n;

function daysOf(time: BigInt64Array): readonly FlightDay[] {
  const days: FlightDay[] = [];
  for (let firstRow = 0; firstRow < time.length; ) {
    const day = floorDivide(time[firstRow] as bigint, DAY_MICROS);
    const endRow = firstRowAt(time, (day + 1n) * DAY_MICROS);
    days.push({ day: dayText(day), firstRow, endRow });
    firstRow = endRow;
  }
  return days;
}

/** BigInt division truncates, which would put the evening of 1969-12-31 into 1970. */
function floorDivide(a: bigint, b: bigint): bigint {
  const quotient = a / b;
  return quotient * b > a ? quotient - 1n : quotient;
}

function dayText(day: bigint): string {
  return new Date(Number(day) * 86_400_000).toISOString().slice(0, -"T00:00:00.000Z".length);
}

/** The first row at or after a time; the number of rows if there is none. */
export function firstRowAt(time: BigInt64Array, micros: bigint): number {
  return firstAtLeast(time.length, (row) => (time[row] as bigint) >= micros);
}

/** The least index for which `holds`, which holds for all later ones too; `length` if for none. */
export function firstAtLeast(length: number, holds: (index: number) => boolean): number {
  let low = 0;
  let high = length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (holds(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** Names of airports by their code; a name that is null is left out. */
export async function loadAirportNames(snapshot: SnapshotReader): Promise<ReadonlyMap<string, string>> {
  const names = new Map<string, string>();
  if (!snapshot.tables.some((table) => table.name === "airports")) return names;
  for await (const batch of snapshot.scan("airports", ["iata", "name"])) {
    const iata = requiredColumn(batch, 0, "STRING", "iata");
    const name = optionalColumn(batch, 1, "STRING", "name");
    for (let i = 0; i < batch.rows; i++) {
      if (name.nulls?.[i] === 1) continue;
      names.set(iata.dictionary[iata.codes[i] as number] as string, name.dictionary[name.codes[i] as number] as string);
    }
  }
  return names;
}
