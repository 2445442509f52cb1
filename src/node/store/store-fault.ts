import { Fault } from "../../fault/fault.ts";

/** What DuckDB threw, as a fault. It tells its errors apart by text only. */
export function storeFault(error: unknown, attempted: string): Fault {
  if (error instanceof Fault) return error;
  const text = error instanceof Error ? error.message : String(error);
  const firstLine = text.split("\n", 1)[0]!;
  if (/Could not set lock on file|Conflicting lock/i.test(text)) {
    return new Fault("store-locked", `${attempted}: ${firstLine}`, {}, error);
  }
  if (/Duplicate key|PRIMARY KEY or UNIQUE constraint|write-write conflict|Conflict on/i.test(text)) {
    return new Fault("fenced", `${attempted}: another writer committed from the same position`, {}, error);
  }
  if (/not a valid DuckDB database file|Corrupt|checksum/i.test(text)) {
    return new Fault("data-corrupt", `${attempted}: ${firstLine}`, {}, error);
  }
  return new Fault("store-failed", `${attempted}: ${firstLine}`, {}, error);
}

/** After such an error every later statement fails too: the database must be opened again. */
export function isFatal(error: unknown): boolean {
  return error instanceof Error && /database has been invalidated|FATAL Error/i.test(error.message);
}
