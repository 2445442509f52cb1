import type { DuckDBConnection } from "@duckdb/node-api";
import type { TableManifest } from "../../wire/generated/skynetes/v1/seal_pb.ts";

/** Where the verified rows of a shard's tables are read from. */
export interface TableSource {
  /** What names a table's rows, for scans that are kept: equal only for equal rows. */
  contentNames(table: TableManifest): readonly string[];
  /** The visible rows with at least the named columns, for FROM on `connection`; `undefined` when there are none. */
  relation(table: TableManifest, columns: readonly string[], connection: DuckDBConnection): Promise<string | undefined>;
}
