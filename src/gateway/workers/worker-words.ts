/** What primary and workers ask each other: protobuf messages travel in their wire format. */
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { SnapshotUseSchema } from "../../wire/generated/skynetes/v1/gateway_admin_pb.ts";
import { ListQueriesResponseSchema, type QueryStatus } from "../../wire/generated/skynetes/v1/gateway_pb.ts";
import { type RouteTable, RouteTableSchema } from "../../wire/generated/skynetes/v1/table_pb.ts";
import type { FoundDifference } from "../scatter/replica-audit.ts";
import type { RouteTupleName } from "../table/verify-table.ts";
import type { GatewayStatus } from "../whole-gateway.ts";
import type { Door } from "./shared-port.ts";

/** Of the primary, with the socket: a connection that the worker has from now on. */
export interface ConnectionWords {
  readonly kind: "connection";
  readonly id: number;
  readonly door: Door;
}

/** Of the worker: it has the connection; the connection has ended. */
export interface ConnectionNewsWords {
  readonly kind: "connection taken" | "connection ended";
  readonly id: number;
  readonly door: Door;
}

export interface VerifyWords {
  readonly table: Uint8Array;
  readonly wanted: readonly RouteTupleName[];
}

export interface StatusWords {
  readonly epoch: bigint;
  readonly tableSha256: string;
  readonly inUse: readonly Uint8Array[];
  readonly differences: readonly FoundDifference[];
}

export const tableToBytes = (table: RouteTable) => toBinary(RouteTableSchema, table);
export const tableFromBytes = (bytes: Uint8Array) => fromBinary(RouteTableSchema, bytes);

export function queriesToBytes(queries: readonly QueryStatus[]): Uint8Array {
  return toBinary(ListQueriesResponseSchema, {
    $typeName: ListQueriesResponseSchema.typeName,
    queries: [...queries],
  });
}

export function queriesFromBytes(bytes: Uint8Array): QueryStatus[] {
  return fromBinary(ListQueriesResponseSchema, bytes).queries;
}

export function statusToWords({ inUse, ...status }: GatewayStatus): StatusWords {
  return { ...status, inUse: inUse.map((use) => toBinary(SnapshotUseSchema, use)) };
}

export function statusFromWords({ inUse, ...status }: StatusWords): GatewayStatus {
  return { ...status, inUse: inUse.map((bytes) => fromBinary(SnapshotUseSchema, bytes)) };
}
