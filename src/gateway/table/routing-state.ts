import type { DescService, FileRegistry } from "@bufbuild/protobuf";
import type { FileDescriptorProto } from "@bufbuild/protobuf/wkt";
import type { MethodPlan } from "../../merge-plan/method-plan.ts";
import type { Cut } from "../../mesh/cut.ts";
import type { Seal, ShardSeal } from "../../wire/generated/skynetes/v1/seal_pb.ts";
import type { RetiredSnapshot, RouteTable, SnapshotRoute } from "../../wire/generated/skynetes/v1/table_pb.ts";

/**
 * A route table made ready for requests: descriptors compiled, seals read and verified. Immutable; a request takes the
 * one in use when it comes and keeps it to its end, so that a table swapped meanwhile cannot mix two tuples.
 */
export interface RoutingState {
  readonly mesh: string;
  readonly epoch: bigint;
  /** SHA-256 of the table's bytes. */
  readonly sha256: string;
  readonly table: RouteTable;
  /** Ascending. */
  readonly shards: readonly number[];
  readonly versions: ReadonlyMap<string, VersionState>;
  readonly snapshots: ReadonlyMap<string, SnapshotState>;
  /** Snapshot by service. */
  readonly latest: ReadonlyMap<string, string>;
  /** Cuts that `latest` had, for services that have none now as well: it never goes back. */
  readonly latestCuts: ReadonlyMap<string, Cut>;
  /** What clients see: each service as its newest bound version describes it. */
  readonly surface: ReadonlyMap<string, VersionState>;
  /** Where a version's replicas of a shard are. */
  readonly endpoints: ReadonlyMap<string, ReadonlyMap<number, readonly PlacementEndpoint[]>>;
  /** Ids that were in a former table and are no more, newest last, each with what it meant. */
  readonly retired: ReadonlyMap<string, string>;
  /** Ids that the table tells to be gone or going. */
  readonly retirements: ReadonlyMap<string, RetiredSnapshot>;
}

export interface PlacementEndpoint {
  readonly node: string;
  /** host:port. */
  readonly address: string;
}

export interface VersionState {
  readonly name: string;
  /** package.Service. */
  readonly service: string;
  readonly desc: DescService;
  readonly registry: FileRegistry;
  readonly files: readonly FileDescriptorProto[];
  readonly plans: ReadonlyMap<string, MethodPlan>;
  readonly descriptorsSha256: string;
  /** It also speaks ShardService.Converse, and the mesh wants it to. */
  readonly converse: boolean;
}

export interface SnapshotState {
  readonly id: string;
  readonly route: SnapshotRoute;
  readonly cut: Cut;
  /** Digest of the cut and of every shard's state: what the id stands for, whatever table names it. */
  readonly meaning: string;
  readonly seal: Seal;
  readonly shardSeals: ReadonlyMap<number, ShardSeal>;
  /** Rows of sharded tables over all shards. */
  readonly rows: bigint;
  readonly createdAtMs: number;
  /** Version by service. */
  readonly bindings: ReadonlyMap<string, VersionState>;
}
