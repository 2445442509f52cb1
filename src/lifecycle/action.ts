import type { Cut } from "../mesh/cut.ts";
import type { RouteTable } from "../wire/generated/skynetes/v1/table_pb.ts";
import type { LatestFloor } from "./latest-floor.ts";
import type { RetireReason } from "./retirement.ts";
import type { FixedCut } from "./snapshot-record.ts";
import type { VerifiedTuple } from "./verified-tuple.ts";

/**
 * One thing to do. Every action is idempotent and may fail: the next plan, made from what is observed then, names it
 * again if it is still wanted. All actions of a plan may run at the same time.
 */
export type Action =
  /** Records a snapshot of the schedule, with the schedule's bindings, and `lastDueMs`. */
  | { readonly kind: "create-scheduled"; readonly snapshot: string; readonly dueMs: number }
  /** Fixes the cut durably in the record (`fixCut`). It waits for no shard. */
  | { readonly kind: "cut"; readonly snapshot: string; readonly asOfMs: number | undefined }
  /** The archive has a seal of that name already: the record takes its cut. */
  | { readonly kind: "adopt"; readonly snapshot: string; readonly cut: FixedCut }
  /** NodeAgentService.FreezeShard; the cut is the shard's part of the snapshot's. */
  | {
      readonly kind: "freeze";
      readonly snapshot: string;
      readonly shard: number;
      readonly node: string;
      readonly cut: Cut;
    }
  /** Writes the seal from the manifests of the frozen replicas; `replicas` are those that agree. */
  | { readonly kind: "seal"; readonly snapshot: string; readonly cut: FixedCut; readonly replicas: readonly Replica[] }
  /** NodeAgentService.BindShard, then check the stamp; or UnbindShard. */
  | {
      readonly kind: "bind" | "unbind";
      readonly snapshot: string;
      readonly shard: number;
      readonly node: string;
      readonly version: string;
      readonly address: string;
    }
  /** GatewayAdminService.VerifyRoutes with a table that is not yet in force. */
  | {
      readonly kind: "verify";
      readonly gateway: string;
      readonly table: RouteTable;
      readonly tuples: readonly VerifiedTuple[];
    }
  /** Writes the table and the floors durably, both or none. From then on it is the mesh's. */
  | { readonly kind: "publish"; readonly table: RouteTable; readonly floors: readonly LatestFloor[] }
  /** GatewayAdminService.ApplyTable with the table last written. */
  | { readonly kind: "apply"; readonly gateway: string; readonly table: RouteTable }
  /** NodeAgentService.RederiveShard; what it comes to is told in `observed.derived`. */
  | {
      readonly kind: "rederive";
      readonly snapshot: string;
      readonly shard: number;
      readonly node: string;
      readonly cut: Cut;
    }
  /** Records the replica as divergent, durably: from then on nothing of the shard on that node is bound or routed to. */
  | {
      readonly kind: "quarantine";
      readonly snapshot: string;
      readonly shard: number;
      readonly node: string;
      readonly stateDigest: string;
      readonly expected: string;
      readonly tables: readonly string[];
    }
  /** NodeAgentService.RebuildShard, then records that it was done. */
  | { readonly kind: "rebuild"; readonly shard: number; readonly node: string; readonly divergent: readonly string[] }
  /** Ends the quarantine: the replica agrees, or is placed elsewhere. */
  | { readonly kind: "readmit"; readonly shard: number; readonly node: string }
  /** NodeAgentService.HostShard. */
  | { readonly kind: "host"; readonly shard: number; readonly node: string }
  /** Records that a placement which leaves is not needed any more. */
  | { readonly kind: "release"; readonly shard: number; readonly node: string }
  /** NodeAgentService.RemoveShard, then forgets the placement. */
  | { readonly kind: "remove"; readonly shard: number; readonly node: string }
  /** Marks the record as retiring, with the time: the schedule keeps newer ones, or none for so long. */
  | { readonly kind: "retire"; readonly snapshot: string; readonly why: RetireReason }
  /** Marks a retiring record, durably: from then on it is deleted. Does nothing if the retirement was taken back. */
  | { readonly kind: "doom"; readonly snapshot: string }
  /** NodeAgentService.DropSnapshot. */
  | { readonly kind: "drop"; readonly snapshot: string; readonly node: string }
  /** Takes the seal, and with it the snapshot, out of the archive. */
  | { readonly kind: "delete-seal"; readonly snapshot: string }
  /** Removes the record: nothing of the snapshot is left. */
  | { readonly kind: "forget"; readonly snapshot: string };

export interface Replica {
  readonly shard: number;
  readonly node: string;
  readonly stateDigest: string;
  readonly manifestSha256: string;
}
