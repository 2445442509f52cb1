import { tmpdir } from "node:os";
import { join } from "node:path";
import type { DuckDBInstance } from "@duckdb/node-api";

export interface LoadDatabaseOptions {
  readonly memoryBytes: number;
  readonly threads: number;
  /** Tells apart the directories of processes for sorts that do not fit in memory. */
  readonly instance: string;
}

/** Opens the database at the first call. */
export type LoadDatabase = () => Promise<DuckDBInstance>;

/**
 * Runs `work` with the DuckDB that reads segment files while a state is loaded. It is there only so long: its buffers
 * would be the greater part of a service process, and serving does not need them. Its client is loaded with it, since a
 * process whose scans are all kept needs neither.
 */
export async function withLoadDatabase<T>(
  options: LoadDatabaseOptions,
  work: (database: LoadDatabase) => Promise<T>,
): Promise<T> {
  let opened: Promise<DuckDBInstance> | undefined;
  try {
    return await work(() => {
      opened ??= open(options);
      return opened;
    });
  } finally {
    (await opened?.catch(() => undefined))?.closeSync();
  }
}

async function open(options: LoadDatabaseOptions): Promise<DuckDBInstance> {
  const { DuckDBInstance } = await import("@duckdb/node-api");
  return DuckDBInstance.create(":memory:", settings(options));
}

function settings(options: LoadDatabaseOptions): Record<string, string> {
  return {
    memory_limit: `${Math.floor(options.memoryBytes / 2 ** 20)}MiB`,
    threads: String(options.threads),
    temp_directory: join(tmpdir(), `skynetes-load-${options.instance}`),
    // Rows are asked for in no order or in one given by ORDER BY; keeping the file's costs memory.
    preserve_insertion_order: "false",
    autoinstall_known_extensions: "false",
    autoload_known_extensions: "false",
  };
}
