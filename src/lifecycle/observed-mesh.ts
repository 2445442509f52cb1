import type { Cut } from "../mesh/cut.ts";
import type { Stamp } from "../mesh/stamp.ts";
import type { RouteTable } from "../wire/generated/skynetes/v1/table_pb.ts";
import type { Action } from "./action.ts";
import type { LatestFloor } from "./latest-floor.ts";
import type { Placement } from "./placement.ts";
import type { Quarantine } from "./quarantine.ts";
import type { RetiredSnapshot } from "./retirement.ts";
import type { SnapshotRecord } from "./snapshot-record.ts";
import type { VerifiedTuple } from "./verified-tuple.ts";

/**
 * All that a driver knows of a mesh at one moment; the plan is a function of it and of the manifest. What is not here
 * is not known, and a plan made from it is still safe: it is only shorter.
 */
export interface ObservedMesh {
  readonly nowMs: number;
  readonly snapshots: readonly SnapshotRecord[];
  /** The table last written durably; a table with a higher epoch exists nowhere unless this one was lost. */
  readonly table: RouteTable | undefined;
  /** Written together with the table. */
  readonly floors: readonly LatestFloor[];
  /** When the newest snapshot of the schedule was due, even if it is retired since; at first, the start of the mesh. */
  readonly lastDueMs: number;
  readonly nodes: readonly ObservedNode[];
  readonly services: readonly ObservedService[];
  readonly seals: readonly ObservedSeal[];
  readonly gateways: readonly ObservedGateway[];
  /**
   * Actions of earlier plans that were still running when the first of the above was looked at. A driver that finishes
   * each plan before it looks again has none.
   */
  readonly underWay?: readonly Action[];
  /** Absent: the manifest's, and no move. */
  readonly placements?: readonly Placement[];
  readonly quarantined?: readonly Quarantine[];
  /** What nodes have worked out from the log, of snapshots that are still wished for. */
  readonly derived?: readonly DerivedShard[];
  /** Ids of snapshots that were retired and forgotten: what is still found of them is left over, and nobody's. */
  readonly retired?: readonly string[];
  /** The newest of those, with their times and reasons. */
  readonly retirements?: readonly RetiredSnapshot[];
}

export interface ObservedNode {
  readonly name: string;
  readonly status: NodeStatus;
}

export type NodeStatus =
  | { readonly kind: "down"; readonly reason: string }
  | { readonly kind: "up"; readonly instance: string; readonly shards: readonly ObservedShard[] };

export interface ObservedShard {
  readonly shard: number;
  readonly position: Cut;
  readonly horizon: Cut;
  readonly frozen: readonly FrozenReplica[];
  /** Records that could not be decoded, and so are in no answer. */
  readonly rejected: bigint;
  /** Ingest has stopped for a reason that needs a person. */
  readonly alarm: string | undefined;
  /** The node cannot use its archive: it freezes nothing until it can. */
  readonly archiveAlarm?: string | undefined;
  /** The partition that is longest behind its log; absent: the node does not tell, or has begun with none. */
  readonly lag?: ObservedLag | undefined;
}

export interface ObservedLag {
  readonly topic: string;
  readonly partition: number;
  /** Offsets that are missing, as far as is known. */
  readonly records: bigint;
  readonly behindMs: number;
}

export interface FrozenReplica {
  readonly snapshot: string;
  readonly stateDigest: string;
  readonly manifestSha256: string;
  /** Absent: the node does not tell. */
  readonly tables?: readonly TableDigest[];
}

export interface TableDigest {
  readonly table: string;
  readonly digest: string;
}

/** A shard's state at a snapshot's cut, worked out by a node from the log alone. */
export interface DerivedShard {
  readonly snapshot: string;
  readonly shard: number;
  readonly node: string;
  readonly stateDigest: string;
  readonly tables: readonly TableDigest[];
}

/** The process of one service version on one node; it serves every shard that the node holds. */
export interface ObservedService {
  readonly version: string;
  readonly node: string;
  readonly status: ServiceStatus;
}

export type ServiceStatus =
  | { readonly kind: "down"; readonly reason: string }
  | {
      readonly kind: "up";
      readonly instance: string;
      /** host:port. */
      readonly address: string;
      /** package.Service, as the process says. */
      readonly service: string;
      /** A google.protobuf.FileDescriptorSet. */
      readonly descriptors: Uint8Array;
      readonly converse: boolean;
      readonly bound: readonly Stamp[];
      /** Binds that this instance has refused, and that nobody should wait for. They are tried again all the same. */
      readonly refused: readonly RefusedBind[];
    };

export interface RefusedBind {
  readonly shard: number;
  readonly snapshot: string;
  readonly reason: string;
}

/** A seal in the archive. */
export interface ObservedSeal {
  readonly snapshot: string;
  /** Of the seal's file. */
  readonly sha256: string;
  readonly cut: Cut;
  readonly fixedAtMs: number;
  readonly inexactTopics: readonly string[];
  /** `stateDigests[i]` is shard i's. */
  readonly stateDigests: readonly string[];
}

export interface ObservedGateway {
  readonly name: string;
  /**
   * Queries may be under way on it, and nothing may be taken from under them. A gateway that the driver cannot reach,
   * or that fails to verify what the others have verified, loses its lease after 10 s and stops being ready.
   */
  readonly leaseAlive: boolean;
  /** Absent: not reachable now. */
  readonly status: GatewayStatus | undefined;
}

export interface GatewayStatus {
  readonly instance: string;
  /** Of the table in use; 0: none yet. */
  readonly epoch: bigint;
  readonly inUse: readonly SnapshotInUse[];
  /** What this instance has verified: the driver keeps the `tuples` of each `verify` that succeeded. */
  readonly verified: readonly VerifiedTuple[];
  /** Absent: it audits nothing. */
  readonly differences?: readonly ReplicaDifference[];
}

/** Two replicas that answered one question differently, as a gateway's audit found. */
export interface ReplicaDifference {
  readonly shard: number;
  readonly snapshot: string;
  readonly version: string;
  readonly nodes: readonly string[];
}

export interface SnapshotInUse {
  readonly snapshot: string;
  readonly version: string;
  readonly queries: number;
  /** The lowest epoch that one of them works by. Absent: not known, so any. */
  readonly oldestEpoch?: bigint;
}
