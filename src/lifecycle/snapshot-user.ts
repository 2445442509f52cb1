import type { RouteTable } from "../wire/generated/skynetes/v1/table_pb.ts";
import type { MeshFacts } from "./mesh-facts.ts";
import type { ObservedGateway, SnapshotInUse } from "./observed-mesh.ts";

/**
 * Who may still send a call for what the table in force no longer names: a lease holder that has not acknowledged that
 * table, or has queries under way that began under an older one (the table may still name the tuple, with other
 * endpoints). Without `version`, for any version of the snapshot.
 */
export function userOf(facts: MeshFacts, snapshot: string, version?: string): string | undefined {
  return user(
    facts.holders,
    facts.observed.table,
    (use) => use.snapshot === snapshot && (version === undefined || use.version === version),
  );
}

/** The same for a version, whatever the snapshot. */
export function versionUser(
  gateways: readonly ObservedGateway[],
  table: RouteTable | undefined,
  version: string,
): string | undefined {
  const holders = gateways.filter((gateway) => gateway.leaseAlive);
  return user(holders, table, (use) => use.version === version);
}

function user(
  holders: readonly ObservedGateway[],
  table: RouteTable | undefined,
  isOn: (use: SnapshotInUse) => boolean,
): string | undefined {
  const epoch = table?.epoch ?? 0n;
  for (const { name, status } of holders) {
    if (status === undefined) return `gateway ${name} holds a lease and is not reachable`;
    if (status.epoch !== epoch) return `gateway ${name} is at epoch ${status.epoch}, the table at ${epoch}`;
    const began = (use: SnapshotInUse) => use.oldestEpoch === undefined || use.oldestEpoch < epoch;
    const queries = status.inUse.filter((use) => isOn(use) && began(use)).reduce((sum, use) => sum + use.queries, 0);
    if (queries > 0) return `gateway ${name} has ${queries} queries on it`;
  }
  return undefined;
}
