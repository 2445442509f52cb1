import type { DescService } from "@bufbuild/protobuf";
import { step } from "../../telemetry/step-channel.ts";
import type { ServiceDefinition } from "../define-service.ts";
import { type LoadDatabaseOptions, withLoadDatabase } from "../load/load-database.ts";
import { parquetSnapshot } from "../load/parquet-snapshot.ts";
import { ScanCache } from "../load/scan-cache.ts";
import { type ShardFiles, verifyShard } from "../load/verify-shard.ts";
import type { LoadedState } from "./binder.ts";

export interface LoadOptions extends LoadDatabaseOptions {
  /** Where scans are kept for the next time; absent: nowhere. */
  readonly scanDirectory: string | undefined;
}

/** Four times what the states of a process may take by default; several processes share it. */
const SCAN_BYTES_MAX = 4 * 2 ** 30;

/** Verify, open, `load`: from a bind request's files to a state. */
export function loadState<S extends DescService, State>(
  definition: ServiceDefinition<S, State>,
  options: LoadOptions,
  files: ShardFiles,
): Promise<LoadedState<State>> {
  const { scanDirectory: directory } = options;
  const cache = directory === undefined ? undefined : new ScanCache({ directory, bytesMax: SCAN_BYTES_MAX });
  const facts = { service: definition.service.typeName, snapshot: files.snapshot, shard: files.shard };
  return step("service", "load", facts, async (event) => {
    const shard = await verifyShard(files);
    return withLoadDatabase(options, async (database) => {
      const before = usedBytes();
      const state = await definition.load(parquetSnapshot(shard, database, cache));
      // Without the author's own estimate: what the heap and the typed arrays grew by. Garbage is counted too, so it
      // errs towards too much.
      const memoryBytes = definition.memoryBytes?.(state) ?? Math.max(0, usedBytes() - before);
      event.facts.memory_bytes = memoryBytes;
      return { state, memoryBytes };
    });
  });
}

function usedBytes(): number {
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}
