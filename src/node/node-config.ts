import type { ArchiveLimits } from "../archive/archive-process.ts";
import type { Log } from "../log/log.ts";
import type { TableSpec, TopicSpec } from "../mesh/table-spec.ts";
import type { Clock, Randomness } from "../process/clock.ts";
import type { RunningTelemetry } from "../telemetry/start-telemetry.ts";
import type { IngestLimits } from "./ingest/ingest-limits.ts";
import type { NodeDatabase } from "./store/open-shard-store.ts";

/** All that a node agent needs to know; `startNode` takes it as it is. */
export interface NodeConfig {
  readonly mesh: string;
  /** This node's name: the placement. */
  readonly node: string;
  /** Shards placed here. */
  readonly shards: readonly number[];
  readonly tables: readonly TableSpec[];
  readonly topics: readonly TopicSpec[];
  /** Read only; the caller closes it after the node. */
  readonly log: Log;
  /** This node's own; holds `shard-<i>` for each shard. */
  readonly dataDirectory: string;
  /** Shared by all nodes of the mesh. */
  readonly archiveDirectory: string;
  /** Port 0 takes any free one. */
  readonly listen: { readonly host: string; readonly port: number };
  readonly clock: Clock;
  readonly randomness: Randomness;
  readonly archive?: Partial<ArchiveLimits>;
  /** Absent: each shard is stored in a DuckDB file of its own. */
  readonly database?: NodeDatabase;
  readonly store?: Partial<StoreLimits>;
  readonly ingest?: Partial<IngestLimits>;
  readonly telemetry?: RunningTelemetry;
}

/** What each shard's DuckDB may take. */
export interface StoreLimits {
  readonly memoryLimit: string;
  readonly threads: number;
}

/** Ingest and freezes work in pieces; more memory would not make them faster, and a node holds several shards. */
export const STORE_LIMITS: StoreLimits = { memoryLimit: "256MB", threads: 1 };
