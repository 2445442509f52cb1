import type { DescService } from "@bufbuild/protobuf";
import type { MySqlPool } from "../../mysql/mysql-pool.ts";
import { step } from "../../telemetry/step-channel.ts";
import type { ShardManifest } from "../../wire/generated/skynetes/v1/seal_pb.ts";
import type { ServiceDefinition } from "../define-service.ts";
import { type LoadDatabaseOptions, withLoadDatabase } from "../load/load-database.ts";
import { ScanCache } from "../load/scan-cache.ts";
import { snapshotOf } from "../load/scan-snapshot.ts";
import { segmentSource } from "../load/segment-source.ts";
import type { TableSource } from "../load/table-source.ts";
import { type ShardFiles, verifyManifest } from "../load/verify-shard.ts";
import type { LoadedState } from "./binder.ts";

export interface LoadOptions extends LoadDatabaseOptions {
  /** Where scans are kept for the next time; absent: nowhere. */
  readonly scanDirectory: string | undefined;
  /** Where snapshots are views; absent: all are read from their segments. */
  readonly views: MySqlPool | undefined;
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
    const manifest = await verifyManifest(files);
    const source = await sourceOf(manifest, options, files);
    return withLoadDatabase(options, async (database) => {
      const before = usedBytes();
      const state = await definition.load(snapshotOf(manifest, source, database, cache));
      // Without the author's own estimate: what the heap and the typed arrays grew by. Garbage is counted too, so it
      // errs towards too much.
      const memoryBytes = definition.memoryBytes?.(state) ?? Math.max(0, usedBytes() - before);
      event.facts.memory_bytes = memoryBytes;
      return { state, memoryBytes };
    });
  });
}

/** A service that reads files needs no client of a database server. */
async function sourceOf(manifest: ShardManifest, options: LoadOptions, files: ShardFiles): Promise<TableSource> {
  if (options.views === undefined || manifest.views === undefined) return segmentSource(manifest, files);
  const { viewSource } = await import("../load/view-source.ts");
  return viewSource(manifest, manifest.views, options.views);
}

function usedBytes(): number {
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}
