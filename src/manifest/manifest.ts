import type { KafkaLogSpec } from "../mesh/log-spec.ts";
import type { ServiceVersionName } from "../mesh/service-version.ts";
import type { SnapshotId } from "../mesh/snapshot-id.ts";
import type { MySqlSpec } from "../mesh/store-spec.ts";
import type { TableSpec, TopicSpec } from "../mesh/table-spec.ts";

/** A mesh manifest that has been checked whole: everything here names things that exist in it. */
export interface Manifest {
  readonly mesh: MeshSpec;
  readonly versions: readonly ServiceVersionSpec[];
  /** In the order of the file. */
  readonly snapshots: readonly SnapshotSpec[];
  /** Absolute; relative paths in the manifest start here. */
  readonly directory: string;
}

export interface MeshSpec {
  readonly name: string;
  readonly shards: number;
  readonly nodes: readonly NodeSpec[];
  /** `placements[i]`: names of the nodes that hold shard i, at least one. */
  readonly placements: readonly (readonly string[])[];
  /** Absent: the embedded log of the data directory. */
  readonly log?: KafkaLogSpec;
  readonly topics: readonly MeshTopic[];
  readonly tables: readonly TableSpec[];
  /** Absent: snapshots are made on request only. */
  readonly schedule: SnapshotSchedule | undefined;
  /** Time in which the retirement of a snapshot, scheduled or not, may be taken back. Absent: the lifecycle's own. */
  readonly retireGraceMs?: number | undefined;
  readonly gateway: GatewaySpec;
  /** A database server that holds the shards; absent: each node holds its own in DuckDB files. */
  readonly store?: MySqlSpec;
}

export interface NodeSpec {
  readonly name: string;
}

export interface MeshTopic extends TopicSpec {
  readonly seed: SeedSpec | undefined;
}

/** Records for a topic that is still empty, read from a file. */
export interface SeedSpec {
  /** As written: relative to the manifest's directory, absolute, or `npm:<package>/<path>`. See `seedPath`. */
  readonly file: string;
  readonly format: SeedFormat;
  /** Columns of the record's key; empty: records without a key. */
  readonly key: readonly string[];
  /** The record's timestamp. */
  readonly timestamp:
    | { readonly kind: "column"; readonly column: string }
    | { readonly kind: "fixed"; readonly timestampMs: number }
    | { readonly kind: "now" };
}

export type SeedFormat = "CSV" | "JSONLines" | "Parquet";

/** Snapshots that make themselves. */
export interface SnapshotSchedule {
  /** Cron expression in UTC, optionally with seconds first. */
  readonly cron: string;
  /** How many of the scheduled snapshots that serve are kept; pinned ones do not count. */
  readonly keep: number;
  /** None is kept longer, but for the one that `latest` means and pinned ones. */
  readonly keepForMs?: number | undefined;
  readonly bindings: readonly BindingSpec[];
}

/** Which version of a service answers at a snapshot. */
export interface BindingSpec {
  /** package.Service. */
  readonly service: string;
  readonly version: ServiceVersionName;
}

/** Bounds that the manifest sets; absent means the gateway's own. */
export interface GatewaySpec {
  /** Processes that share the ports and the bounds. */
  readonly workers?: number;
  readonly deadlineDefaultMs?: number;
  readonly deadlineMaxMs?: number;
  readonly queriesMax?: number;
  readonly bodyBytesMax?: number;
  readonly partialBytesMax?: number;
  readonly groupBytesMax?: number;
  /** Least share of rows, 0 to 1, that a partial answer must cover whatever a client asks. */
  readonly partialFloor?: number;
  /** Shard calls beyond the needed ones, for each needed one; 0: none. */
  readonly hedgeShare?: number;
  /** Share of a shard's answers that a second replica is asked for as well, to compare; 0: none. */
  readonly auditShare?: number;
  /** Threads for large merges; 0: none. */
  readonly mergeThreadsMax?: number;
}

export interface ServiceVersionSpec {
  readonly name: ServiceVersionName;
  /** package.Service. */
  readonly service: string;
  readonly run: ServiceRun;
  readonly env: Readonly<Record<string, string>>;
  readonly memoryLimitBytes: number | undefined;
  /** How gateways call it. `stream`: packed, where it speaks ShardService.Converse. */
  readonly transport: "stream" | "unary";
}

export type ServiceRun =
  /** A module of the service kit, relative to the manifest's directory. */
  | { readonly kind: "module"; readonly module: string }
  /** Any program that serves the service and BindingService. */
  | { readonly kind: "command"; readonly command: readonly string[] };

export interface SnapshotSpec {
  readonly id: SnapshotId;
  /** Milliseconds since the Unix epoch. Absent: now. */
  readonly asOfMs: number | undefined;
  readonly allowInexactAsOf: boolean;
  readonly bindings: readonly BindingSpec[];
  /** Pinned snapshots are retired by nobody but a person. */
  readonly pinned: boolean;
}
