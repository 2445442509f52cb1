import type { DescService } from "@bufbuild/protobuf";
import type { MySqlPool } from "../../mysql/mysql-pool.ts";
import type { KnownDigests } from "../../process/known-digests.ts";
import { step } from "../../telemetry/step-channel.ts";
import type { ShardManifest } from "../../wire/generated/skynetes/v1/seal_pb.ts";
import type { ServiceDefinition, SnapshotReader } from "../define-service.ts";
import { type LoadDatabase, type LoadDatabaseOptions, withLoadDatabase } from "../load/load-database.ts";
import { manifestDifference } from "../load/manifest-difference.ts";
import { ScanCache } from "../load/scan-cache.ts";
import { snapshotOf } from "../load/scan-snapshot.ts";
import { segmentChanges } from "../load/segment-changes.ts";
import { segmentPath, segmentSource, verifySegments } from "../load/segment-source.ts";
import type { TableSource } from "../load/table-source.ts";
import { type ShardFiles, verifyManifest } from "../load/verify-shard.ts";
import type { LoadedState } from "./binder.ts";
import { type Binding, stateBytes } from "./binding-table.ts";

export interface LoadOptions extends LoadDatabaseOptions {
  /** Where scans are kept for the next time; absent: nowhere. */
  readonly scanDirectory: string | undefined;
  /** Where snapshots are views; absent: all are read from their segments. */
  readonly views: MySqlPool | undefined;
  /** What this process has read already. */
  readonly digests: KnownDigests;
  /** Told of what an author's `advance` throws; the snapshot is loaded then. */
  readonly report: (error: unknown, attempted: string) => void;
}

/** Four times what the states of a process may take by default; several processes share it. */
const SCAN_BYTES_MAX = 4 * 2 ** 30;

/** Verify, open, `advance` from the state given or `load`: from a bind request's files to a state. */
export function loadState<S extends DescService, State>(
  definition: ServiceDefinition<S, State>,
  options: LoadOptions,
  files: ShardFiles,
  previous: Binding<State> | undefined,
): Promise<LoadedState<State>> {
  const { scanDirectory: directory } = options;
  const cache = directory === undefined ? undefined : new ScanCache({ directory, bytesMax: SCAN_BYTES_MAX });
  const facts = { service: definition.service.typeName, snapshot: files.snapshot, shard: files.shard };
  return step("service", "load", facts, async (event) => {
    const manifest = await verifyManifest(files);
    const source = await sourceOf(manifest, options, files);
    return withLoadDatabase(options, async (database) => {
      const shard = { manifest, files, snapshot: () => snapshotOf(manifest, source, database, cache) };
      const loaded =
        (await advanced(definition, options, shard, database, previous)) ?? (await whole(definition, shard));
      event.facts.advanced = loaded.advanced;
      event.facts.memory_bytes = stateBytes(loaded);
      return loaded;
    });
  });
}

interface OpenedShard {
  readonly manifest: ShardManifest;
  readonly files: ShardFiles;
  readonly snapshot: () => SnapshotReader;
}

/** A service that reads files needs no client of a database server. */
async function sourceOf(manifest: ShardManifest, options: LoadOptions, files: ShardFiles): Promise<TableSource> {
  const viewed = views(manifest, options);
  if (viewed === undefined) return segmentSource(manifest, files, options.digests);
  const { viewSource } = await import("../load/view-source.ts");
  return viewSource(manifest, viewed.views, viewed.server);
}

/** Where the snapshot is read as views; undefined: it is read from its segments. */
function views({ views: named }: ShardManifest, { views: server }: LoadOptions) {
  return server === undefined || named === undefined ? undefined : { views: named, server };
}

async function whole<S extends DescService, State>(
  definition: ServiceDefinition<S, State>,
  { manifest, snapshot }: OpenedShard,
): Promise<LoadedState<State>> {
  const before = usedBytes();
  const state = await definition.load(snapshot());
  const parts = new Map(definition.sharedParts?.(state));
  // Without the author's own estimate: what the heap and the typed arrays grew by. Garbage is counted too, so it errs
  // towards too much.
  const memoryBytes = definition.memoryBytes?.(state) ?? Math.max(0, usedBytes() - before - bytesOf(parts));
  return { manifest, state, memoryBytes, parts, advanced: false };
}

/** Undefined: there is nothing to advance from, or it failed, which is told. */
async function advanced<S extends DescService, State>(
  definition: ServiceDefinition<S, State>,
  options: LoadOptions,
  { manifest, files, snapshot }: OpenedShard,
  database: LoadDatabase,
  previous: Binding<State> | undefined,
): Promise<LoadedState<State> | undefined> {
  // Views have no segments to tell apart.
  if (definition.advance === undefined || previous === undefined || views(manifest, options) !== undefined)
    return undefined;
  const difference = manifestDifference(previous.manifest, manifest);
  if (difference === undefined) return undefined;
  const former = previous.stamp.snapshot;
  try {
    await verifySegments(previous.manifest, { directory: files.directory, snapshot: former }, options.digests);
    const pathOf = (sha256: string) => segmentPath(files, sha256);
    const changes = segmentChanges({ difference, pathOf, database, snapshot: snapshot() });
    const state = await definition.advance(previous.state, changes);
    const parts = new Map(definition.sharedParts?.(state));
    const memoryBytes = definition.memoryBytes?.(state) ?? grown(previous, manifest);
    return { manifest, state, memoryBytes, parts, advanced: true };
  } catch (error) {
    options.report(error, `advance shard ${manifest.shard} from "${former}" to "${manifest.snapshot}"`);
    return undefined;
  }
}

/**
 * Without the author's own estimate: as much a row as the state that it was made from. The heap's growth would leave out
 * what the two share, and then nobody would count it once the former is unbound.
 */
function grown(previous: Binding<unknown>, manifest: ShardManifest): number {
  return previous.memoryBytes * (rowsOf(manifest) / Math.max(1, rowsOf(previous.manifest)));
}

function rowsOf(manifest: ShardManifest): number {
  return Number(manifest.tables.reduce((sum, table) => sum + table.rows, 0n));
}

function bytesOf(parts: ReadonlyMap<object, number>): number {
  return [...parts.values()].reduce((sum, bytes) => sum + bytes, 0);
}

function usedBytes(): number {
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}
