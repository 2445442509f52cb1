import type { DescMethod } from "@bufbuild/protobuf";
import { create } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import {
  type DescribeMeshResponse,
  DescribeMeshResponseSchema,
  type DescribeSnapshotResponse,
  DescribeSnapshotResponseSchema,
  type ListSnapshotsResponse,
  ListSnapshotsResponseSchema,
  type SnapshotSummary,
  SnapshotSummarySchema,
} from "../../wire/generated/skynetes/v1/gateway_pb.ts";
import type { RoutingState, SnapshotState } from "../table/routing-state.ts";
import { namedSnapshot } from "./resolve-query.ts";

export function describeMesh(state: RoutingState): DescribeMeshResponse {
  return create(DescribeMeshResponseSchema, {
    mesh: state.mesh,
    epoch: state.epoch,
    shards: state.table.shards,
    services: [...state.surface.entries()]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([service, newest]) => ({
        service,
        latest: state.latest.get(service) ?? "",
        versions: boundVersions(state, service),
        methods: newest.desc.methods.map((method) => ({
          name: method.name,
          serverStreaming: method.methodKind === "server_streaming",
          getAllowed: isGetAllowed(method),
        })),
      })),
  });
}

/** Oldest snapshot first. */
export function listSnapshots(state: RoutingState): ListSnapshotsResponse {
  const snapshots = [...state.snapshots.values()].sort(
    (a, b) => a.createdAtMs - b.createdAtMs || (a.id < b.id ? -1 : 1),
  );
  return create(ListSnapshotsResponseSchema, { snapshots: snapshots.map((s) => summary(state, s)) });
}

/** Faults: `unknown-snapshot`, `snapshot-retired`, `snapshot-expired`. */
export function describeSnapshot(state: RoutingState, id: string): DescribeSnapshotResponse {
  const snapshot = namedSnapshot(state, id);
  return create(DescribeSnapshotResponseSchema, { summary: summary(state, snapshot), seal: snapshot.seal });
}

/** A method that its author marked as free of side effects may be called by GET, which anything may repeat. */
export function isGetAllowed(method: DescMethod): boolean {
  return method.idempotency === MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS;
}

function summary(state: RoutingState, snapshot: SnapshotState): SnapshotSummary {
  return create(SnapshotSummarySchema, {
    id: snapshot.id,
    ...(snapshot.route.createdAt === undefined ? {} : { createdAt: snapshot.route.createdAt }),
    ...(snapshot.route.asOf === undefined ? {} : { asOf: snapshot.route.asOf }),
    rows: snapshot.rows,
    bindings: snapshot.route.bindings,
    latestOf: [...state.latest].filter(([, id]) => id === snapshot.id).map(([service]) => service),
  });
}

function boundVersions(state: RoutingState, service: string): string[] {
  const names = [...state.snapshots.values()].map((s) => s.bindings.get(service)?.name);
  return [...new Set(names.filter((name) => name !== undefined))].sort();
}
