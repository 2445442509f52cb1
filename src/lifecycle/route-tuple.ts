import type { RouteTable } from "../wire/generated/skynetes/v1/table_pb.ts";
import type { MeshFacts } from "./mesh-facts.ts";
import type { SnapshotRecord } from "./snapshot-record.ts";

/** A service at a snapshot, answered by a version: one line of the route table. */
export interface RouteTuple {
  readonly snapshot: string;
  readonly service: string;
  readonly version: string;
}

export function tuplesOf(table: RouteTable | undefined): readonly RouteTuple[] {
  return (table?.snapshots ?? []).flatMap((snapshot) =>
    snapshot.bindings.map(({ service, version }) => ({ snapshot: snapshot.id, service, version })),
  );
}

export function hasTuple(tuples: readonly RouteTuple[], snapshot: string, version: string): boolean {
  return tuples.some((tuple) => tuple.snapshot === snapshot && tuple.version === version);
}

/** Lines of the table in force that stay until something better is verified: their snapshot is still wished for. */
export function keptTuples(facts: MeshFacts): readonly RouteTuple[] {
  return tuplesOf(facts.observed.table).filter(({ snapshot, service }) => {
    const record = facts.record(snapshot);
    return record !== undefined && !record.retiring && record.bindings.some((b) => b.service === service);
  });
}

/** What is wished of a snapshot and can be: versions that the manifest has. */
export function wishedTuples(facts: MeshFacts, record: SnapshotRecord): readonly RouteTuple[] {
  if (record.retiring) return [];
  return record.bindings
    .filter((b) => facts.manifest.versions.some((v) => v.name === b.version && v.service === b.service))
    .map(({ service, version }) => ({ snapshot: record.id, service, version }));
}

/** Every shard answers for the tuple somewhere, and nobody is about to who does not yet. */
export function isReady(facts: MeshFacts, record: SnapshotRecord, version: string): boolean {
  return facts.manifest.mesh.placements.every((nodes, shard) => {
    const isPending = (node: string) =>
      facts.mayBind(record, version, shard, node) &&
      !facts.service(version, node)?.refused.some((r) => r.snapshot === record.id && r.shard === shard);
    return nodes.some((node) => facts.isBound(record, version, shard, node)) && !nodes.some(isPending);
  });
}
