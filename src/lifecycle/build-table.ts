import { create, toBinary } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { cutOf } from "../mesh/cut.ts";
import { type RouteTable, RouteTableSchema } from "../wire/generated/skynetes/v1/table_pb.ts";
import type { LatestFloor } from "./latest-floor.ts";
import { latestSnapshots } from "./latest-snapshot.ts";
import type { MeshFacts } from "./mesh-facts.ts";
import { RETIRE_REASON } from "./retire-reason.ts";
import { newestRetired } from "./retirement.ts";
import type { RouteTuple } from "./route-tuple.ts";
import type { SnapshotRecord } from "./snapshot-record.ts";
import type { VersionEndpoint } from "./version-endpoints.ts";

/** What a table shall say; the rest follows. */
export interface TableContent {
  readonly tuples: readonly RouteTuple[];
  readonly endpoints: ReadonlyMap<string, readonly VersionEndpoint[]>;
}

export interface BuiltTable {
  readonly table: RouteTable;
  readonly floors: readonly LatestFloor[];
}

/** The whole table, in one order, so that equal content is equal bytes. */
export function buildTable(facts: MeshFacts, content: TableContent, epoch: bigint): BuiltTable {
  const { manifest, observed } = facts;
  const last = observed.table;
  const records = recordsOf(facts, content.tuples);
  const versions = [...new Set(content.tuples.map((tuple) => tuple.version))].sort();

  const serving = new Map<string, SnapshotRecord[]>();
  for (const record of records) {
    for (const tuple of content.tuples) {
      if (tuple.snapshot !== record.id) continue;
      serving.set(tuple.service, [...(serving.get(tuple.service) ?? []), record]);
    }
  }
  const current = new Map((last?.latest ?? []).map((l) => [l.service, l.snapshot]));
  const { latest, floors } = latestSnapshots(serving, current, observed.floors);

  const table = create(RouteTableSchema, {
    mesh: manifest.mesh.name,
    epoch,
    shards: manifest.mesh.placements.map((nodes, shard) => ({
      shard,
      placements: placementsOf(nodes, shard, versions, content.endpoints),
    })),
    versions: versions.map((name) => {
      const running = manifest.mesh.nodes.flatMap((node) => facts.service(name, node.name) ?? []).at(0);
      const former = last?.versions.find((version) => version.name === name);
      return {
        name,
        service: content.tuples.find((tuple) => tuple.version === name)?.service ?? "",
        descriptors: running?.descriptors ?? former?.descriptors ?? new Uint8Array(),
        converse: isCalledUnary(facts, name) ? false : (running?.converse ?? former?.converse ?? false),
      };
    }),
    snapshots: records.map((record) => ({
      id: record.id,
      sealSha256: routedSeal(facts, record) ?? "",
      cut: { positions: cutOf(record.cut?.positions ?? []).map((position) => ({ ...position })) },
      createdAt: timestampFromMs(record.cut?.fixedAtMs ?? record.createdAtMs),
      ...(record.asOfMs === undefined ? {} : { asOf: timestampFromMs(record.asOfMs) }),
      bindings: content.tuples
        .filter((tuple) => tuple.snapshot === record.id)
        .map(({ service, version }) => ({ service, version }))
        .sort((a, b) => (a.service < b.service ? -1 : 1)),
    })),
    latest: latest.map((l) => ({ ...l })),
    retired: retiredOf(facts, records),
  });
  return { table, floors };
}

/** What is going and what is gone say the same, so that the end of a retirement changes no table. */
function retiredOf(facts: MeshFacts, routed: readonly SnapshotRecord[]) {
  const { snapshots, retirements = [] } = facts.observed;
  const going = snapshots.filter((record) => record.retiring && !routed.includes(record));
  return newestRetired([...retirements, ...going.map(({ id, retirement }) => ({ id, retirement }))]).map(
    ({ id, retirement }) =>
      retirement === undefined
        ? { id }
        : { id, retiredAt: timestampFromMs(retirement.atMs), reason: RETIRE_REASON[retirement.why] },
  );
}

/** The manifest's switch: a mesh that meters or shapes single requests sees them again. */
function isCalledUnary(facts: MeshFacts, version: string): boolean {
  return facts.manifest.versions.some(({ name, transport }) => name === version && transport === "unary");
}

/**
 * The digest of the seal that the table shall name. What the last table says stays while the archive cannot be read; a
 * seal that was damaged and is made anew may name other replicas, so then its digest is another one.
 */
export function routedSeal(facts: MeshFacts, record: SnapshotRecord): string | undefined {
  const last = facts.observed.table?.snapshots.find((snapshot) => snapshot.id === record.id);
  return facts.seal(record)?.sha256 ?? last?.sealSha256;
}

/** Oldest first. */
function recordsOf(facts: MeshFacts, tuples: readonly RouteTuple[]): readonly SnapshotRecord[] {
  const ids = new Set(tuples.map((tuple) => tuple.snapshot));
  return facts.observed.snapshots
    .filter((record) => ids.has(record.id))
    .sort((a, b) => a.createdAtMs - b.createdAtMs || (a.id < b.id ? -1 : 1));
}

function placementsOf(
  nodes: readonly string[],
  shard: number,
  versions: readonly string[],
  endpoints: TableContent["endpoints"],
) {
  const here = versions.flatMap((version) =>
    (endpoints.get(version) ?? []).filter((e) => e.shard === shard).map((e) => ({ ...e, version })),
  );
  // Nodes that the manifest no longer places the shard on come last, for as long as they are needed.
  const names = [...nodes, ...[...new Set(here.map((e) => e.node))].filter((node) => !nodes.includes(node)).sort()];
  return names.map((node) => ({
    node,
    endpoints: here.filter((e) => e.node === node).map(({ version, address }) => ({ version, address })),
  }));
}

/** The tables say the same, whatever their epochs. */
export function sameContent(a: RouteTable, b: RouteTable): boolean {
  const bytes = (table: RouteTable) => toBinary(RouteTableSchema, { ...table, epoch: 0n });
  return Buffer.compare(bytes(a), bytes(b)) === 0;
}
