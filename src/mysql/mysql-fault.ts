import { Fault } from "../fault/fault.ts";
import type { FaultId } from "../fault/fault-catalog.ts";

const DUPLICATE_KEY = 1062;

/** Codes whose meaning a caller can act on; all others say that the store cannot be used now. */
const MEANINGS: ReadonlyMap<number, FaultId> = new Map([
  [DUPLICATE_KEY, "fenced"],
  // Access to the server, a database, a table, a column; a privilege that is missing.
  [1044, "permission-denied"],
  [1045, "permission-denied"],
  [1142, "permission-denied"],
  [1143, "permission-denied"],
  [1227, "permission-denied"],
  [1370, "permission-denied"],
]);

/** What the client or the server threw, as a fault. */
export function mySqlFault(error: unknown, attempted: string): Fault {
  if (error instanceof Fault) return error;
  const { errno, code, message } = error as { errno?: number; code?: string; message?: string };
  const what = `${attempted}: ${message ?? String(error)}${code === undefined ? "" : ` (${code})`}`;
  return new Fault(MEANINGS.get(errno ?? -1) ?? "store-failed", what, {}, error);
}

/** The server has refused one statement and the connection is as it was; after anything else it is not to be trusted. */
export function isRefusal(error: unknown): boolean {
  return (
    typeof (error as { sqlState?: unknown }).sqlState === "string" && (error as { fatal?: boolean }).fatal !== true
  );
}
