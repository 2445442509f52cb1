import type { SnapshotUse } from "../wire/generated/skynetes/v1/gateway_admin_pb.ts";
import type { QueryStatus } from "../wire/generated/skynetes/v1/gateway_pb.ts";
import type { RouteTable } from "../wire/generated/skynetes/v1/table_pb.ts";
import type { FoundDifference } from "./scatter/replica-audit.ts";
import type { RouteProbeFailure, RouteTupleName } from "./table/verify-table.ts";

/** What a gateway tells its clients of itself, be it one process or several workers. */
export interface WholeGateway {
  queries(): Promise<readonly QueryStatus[]>;
  /** Fault `unknown-query`. */
  cancel(id: string): Promise<void>;
  /** Epoch of the table in use. Fault `not-ready`. */
  ready(): Promise<bigint>;
  /** Prometheus text. Fault `unknown-path` when nothing is measured. */
  metrics(): Promise<string>;
}

/** What the mesh's driver does with a gateway. */
export interface GatewayAdmin {
  /** Acknowledges when the table is in use. Faults: `table-conflict`, `invalid-table`. */
  apply(table: RouteTable): Promise<bigint>;
  verify(table: RouteTable, wanted: readonly RouteTupleName[], signal: AbortSignal): Promise<RouteProbeFailure[]>;
  status(): Promise<GatewayStatus>;
}

export interface GatewayStatus {
  /** 0: no table yet. */
  readonly epoch: bigint;
  readonly tableSha256: string;
  readonly inUse: readonly SnapshotUse[];
  /** What audits have found: replicas that answered differently. */
  readonly differences: readonly FoundDifference[];
}

/** One process of a gateway: all of it, or a worker. */
export interface GatewayPart extends WholeGateway, GatewayAdmin {
  /** Loads a table without using it: what `apply` could fail with shows here. Faults as `apply`. */
  prepare(table: RouteTable): Promise<void>;
}
