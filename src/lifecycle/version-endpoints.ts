import { createHash } from "node:crypto";
import type { RouteTable } from "../wire/generated/skynetes/v1/table_pb.ts";
import type { MeshFacts } from "./mesh-facts.ts";
import { isReady, type RouteTuple } from "./route-tuple.ts";

/** Where a version answers for a shard. The table names endpoints per version, not per snapshot. */
export interface VersionEndpoint {
  readonly shard: number;
  readonly node: string;
  readonly address: string;
}

/** What the table would say of a version if all that is ready came in. */
export interface VersionRoutes {
  readonly endpoints: readonly VersionEndpoint[];
  /** Tuples that are not in the table and answer at these endpoints. */
  readonly entering: readonly RouteTuple[];
}

/**
 * A gateway may send any call of a version to any of its endpoints, so an endpoint must hold *all* the version's
 * snapshots that the table names. While none does for some shard (the only process of it was just restarted), the
 * table keeps the endpoints it has, except quarantined ones: calls fail with a clear word until the shard is bound again, and no route flaps.
 */
export function versionRoutes(
  facts: MeshFacts,
  version: string,
  kept: readonly RouteTuple[],
  wished: readonly RouteTuple[],
): VersionRoutes {
  let tuples = kept;
  let endpoints = endpointsHolding(facts, version, tuples);
  const entering: RouteTuple[] = [];
  for (const tuple of wished) {
    const record = facts.record(tuple.snapshot);
    if (record === undefined || !isReady(facts, record, version)) continue;
    const together = endpointsHolding(facts, version, [...tuples, tuple]);
    // Two snapshots may be held by different replicas only; then the second waits.
    const answersEverywhere = facts.manifest.mesh.placements.every((_, shard) =>
      together.some((e) => {
        const isCurrent = facts.service(version, e.node)?.address === e.address;
        return e.shard === shard && isCurrent && facts.isBound(record, version, shard, e.node);
      }),
    );
    if (!answersEverywhere) continue;
    tuples = [...tuples, tuple];
    endpoints = together;
    entering.push(tuple);
  }
  return { endpoints, entering };
}

function endpointsHolding(
  facts: MeshFacts,
  version: string,
  tuples: readonly RouteTuple[],
): readonly VersionEndpoint[] {
  const last = endpointsIn(facts.observed.table, version);
  return facts.manifest.mesh.placements.flatMap((nodes, shard) => {
    const holding = nodes.flatMap((node) => {
      const address = facts.service(version, node)?.address;
      const holdsAll = tuples.every(({ snapshot }) => {
        const record = facts.record(snapshot);
        return record !== undefined && facts.isBound(record, version, shard, node);
      });
      return address !== undefined && holdsAll ? [{ shard, node, address }] : [];
    });
    return holding.length > 0 ? holding : last.filter((e) => e.shard === shard && !facts.isQuarantined(shard, e.node));
  });
}

export function endpointsIn(table: RouteTable | undefined, version: string): readonly VersionEndpoint[] {
  return (table?.shards ?? []).flatMap(({ shard, placements }) =>
    placements.flatMap(({ node, endpoints }) =>
      endpoints.flatMap((e) => (e.version === version ? [{ shard, node, address: e.address }] : [])),
    ),
  );
}

/** Nothing is in `some` that is not in `all`. */
export function areAmong(some: readonly VersionEndpoint[], all: readonly VersionEndpoint[]): boolean {
  return some.every((e) => all.some((a) => a.shard === e.shard && a.node === e.node && a.address === e.address));
}

/**
 * The way to a tuple: the state that must answer, where, and which run of which process. What was verified of one way
 * says nothing of another; a process that was started again, though at its old address, is another.
 */
export function wayTo(
  facts: MeshFacts,
  version: string,
  sealSha256: string,
  endpoints: readonly VersionEndpoint[],
): string {
  const instanceAt = ({ node, address }: VersionEndpoint) => {
    const service = facts.service(version, node);
    return service?.address === address ? service.instance : "";
  };
  const lines = endpoints.map((e) => `${e.shard} ${e.node} ${e.address} ${instanceAt(e)}`).sort();
  return createHash("sha256")
    .update([sealSha256, ...lines].join("\n"))
    .digest("hex");
}
