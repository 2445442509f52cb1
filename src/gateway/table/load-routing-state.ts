import { createFileRegistry, fromBinary, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema, timestampMs } from "@bufbuild/protobuf/wkt";
import { Fault } from "../../fault/fault.ts";
import { faultFromUnknown } from "../../fault/fault-from-unknown.ts";
import { compileService } from "../../merge-plan/compile-method.ts";
import { type Cut, cutContains, cutOf, cutText } from "../../mesh/cut.ts";
import { SERVICE_VERSION_RULE, serviceVersionName } from "../../mesh/service-version.ts";
import { SNAPSHOT_ID_RULE, snapshotId } from "../../mesh/snapshot-id.ts";
import { sha256Of } from "../../process/file-digest.ts";
import type { Seal, Cut as WireCut } from "../../wire/generated/skynetes/v1/seal_pb.ts";
import {
  type RouteTable,
  RouteTableSchema,
  type ServiceVersionRoute,
  type SnapshotRoute,
} from "../../wire/generated/skynetes/v1/table_pb.ts";
import { checkEndpoints } from "./check-endpoints.ts";
import { breakingDifferences } from "./compatible-service.ts";
import type { PlacementEndpoint, RoutingState, SnapshotState, VersionState } from "./routing-state.ts";

/**
 * Ids of former tables are answered with 410 and keep their meaning, whether the table tells of them or not; the oldest
 * are forgotten and become unknown.
 */
const RETIRED_MAX = 1000;

export type ReadSeal = (snapshot: string, sha256: string) => Promise<Seal>;

/**
 * Makes a table ready before anything is swapped: all descriptors compiled, all seals read, every reference followed.
 * What did not change is taken from `former`, so that a new snapshot costs one seal and no compilation.
 *
 * Faults: `invalid-table` with everything that is wrong, each with its place in the table.
 */
export async function loadRoutingState(
  table: RouteTable,
  former: RoutingState | undefined,
  readSeal: ReadSeal,
): Promise<RoutingState> {
  const wrong: { pointer: string; detail: string }[] = [];
  const report = (pointer: string, detail: string) => wrong.push({ pointer, detail });

  if (table.mesh === "") report("/mesh", "is empty");
  if (former !== undefined && former.mesh !== table.mesh) {
    report("/mesh", `is "${table.mesh}", and this gateway serves "${former.mesh}"`);
  }
  const shards = table.shards.map((s) => s.shard).sort((a, b) => a - b);
  if (shards.some((shard, at) => shard !== at)) report("/shards", `are ${shards}, expected each of 0 to n-1 once`);

  const versions = new Map<string, VersionState>();
  for (const [i, route] of table.versions.entries()) {
    if (serviceVersionName(route.name) === undefined) {
      report(`/versions/${i}/name`, `"${route.name}" is not ${SERVICE_VERSION_RULE}`);
    } else if (versions.has(route.name)) {
      report(`/versions/${i}/name`, `"${route.name}" is there twice`);
    } else {
      try {
        versions.set(route.name, loadVersion(route, former));
      } catch (error) {
        report(`/versions/${i}`, faultFromUnknown(error, `load version ${route.name}`).message);
      }
    }
  }

  checkEndpoints(table, report);
  const endpoints = endpointsByVersion(table);
  const snapshots = new Map<string, SnapshotState>();
  await Promise.all(
    table.snapshots.map(async (route, i) => {
      const at = `/snapshots/${i}`;
      if (snapshotId(route.id) === undefined) {
        // Reported before the seal is read: the id becomes part of a file's name.
        report(`${at}/id`, `"${route.id}" is not ${SNAPSHOT_ID_RULE}`);
        return;
      }
      if (table.snapshots.findIndex((s) => s.id === route.id) !== i) report(`${at}/id`, `"${route.id}" is there twice`);
      let seal: Seal;
      try {
        const known = former?.snapshots.get(route.id);
        seal = known?.route.sealSha256 === route.sealSha256 ? known.seal : await readSeal(route.id, route.sealSha256);
      } catch (error) {
        report(`${at}/sealSha256`, faultFromUnknown(error, `read seal of ${route.id}`).message);
        return;
      }
      const bindings = new Map<string, VersionState>();
      for (const [b, binding] of route.bindings.entries()) {
        const version = versions.get(binding.version);
        const where = `${at}/bindings/${b}`;
        if (version === undefined) {
          report(`${where}/version`, `"${binding.version}" is not among the versions`);
        } else if (version.service !== binding.service) {
          report(where, `version "${version.name}" is of ${version.service}, not of ${binding.service}`);
        } else if (bindings.has(binding.service)) {
          report(where, `${binding.service} is bound twice`);
        } else {
          bindings.set(binding.service, version);
          const unserved = shards.filter((shard) => endpoints.get(version.name)?.get(shard) === undefined);
          if (unserved.length > 0)
            report(where, `no placement of shard ${unserved.join(", ")} serves "${version.name}"`);
        }
      }
      for (const detail of sealDifferences(seal, route, table)) report(`${at}/sealSha256`, detail);
      const snapshot = snapshotState(route, seal, bindings);
      const before = former?.snapshots.get(route.id)?.meaning ?? former?.retired.get(route.id);
      if (before !== undefined && before !== snapshot.meaning) {
        report(
          `${at}/sealSha256`,
          `"${route.id}" has been a snapshot of another state; an id never changes its meaning`,
        );
      }
      snapshots.set(route.id, snapshot);
    }),
  );

  const latest = new Map<string, string>();
  const latestCuts = new Map<string, Cut>(former?.latestCuts);
  for (const [i, entry] of table.latest.entries()) {
    const snapshot = snapshots.get(entry.snapshot);
    if (snapshot?.bindings.get(entry.service) === undefined) {
      report(`/latest/${i}`, `${entry.service} is not bound at "${entry.snapshot}"`);
      continue;
    }
    const before = latestCuts.get(entry.service);
    if (before !== undefined && !cutContains(snapshot.cut, before)) {
      report(`/latest/${i}`, `"${entry.snapshot}" at ${cutText(snapshot.cut)} does not contain ${cutText(before)}`);
    }
    latest.set(entry.service, entry.snapshot);
    latestCuts.set(entry.service, snapshot.cut);
  }

  const surface = publicSurface(snapshots, versions, report);
  if (wrong.length > 0) {
    wrong.sort((a, b) => (a.pointer < b.pointer ? -1 : a.pointer > b.pointer ? 1 : 0));
    const text = wrong.map((w) => `${w.pointer}: ${w.detail}`).join("; ");
    throw new Fault("invalid-table", `load table of epoch ${table.epoch}: ${text}`, { errors: wrong });
  }
  return {
    mesh: table.mesh,
    epoch: table.epoch,
    sha256: tableDigest(table),
    table,
    shards,
    versions,
    snapshots,
    latest,
    latestCuts,
    surface,
    endpoints,
    retired: retiredIds(former, snapshots),
    retirements: new Map(table.retired.map((retired) => [retired.id, retired])),
  };
}

export function tableDigest(table: RouteTable): string {
  return sha256Of(toBinary(RouteTableSchema, table));
}

function loadVersion(route: ServiceVersionRoute, former: RoutingState | undefined): VersionState {
  const descriptorsSha256 = sha256Of(route.descriptors);
  const known = former?.versions.get(route.name);
  if (known !== undefined && known.service === route.service) {
    if (known.descriptorsSha256 === descriptorsSha256) {
      // The same object while nothing changed: what was made for a version's plans is kept by it.
      return known.converse === route.converse ? known : { ...known, converse: route.converse };
    }
    // A version is one immutable build: other descriptors under its name are another build.
    throw new Fault("invalid-table", `version "${route.name}" has other descriptors than before`);
  }
  const set = fromBinary(FileDescriptorSetSchema, route.descriptors);
  const registry = createFileRegistry(set);
  const desc = registry.getService(route.service);
  if (desc === undefined) throw new Fault("invalid-table", `descriptors do not hold service ${route.service}`);
  const plans = compileService(desc);
  return {
    name: route.name,
    service: route.service,
    desc,
    registry,
    files: set.file,
    plans,
    descriptorsSha256,
    converse: route.converse,
  };
}

function endpointsByVersion(table: RouteTable): Map<string, Map<number, PlacementEndpoint[]>> {
  const found = new Map<string, Map<number, PlacementEndpoint[]>>();
  for (const shard of table.shards) {
    for (const placement of shard.placements) {
      for (const endpoint of placement.endpoints) {
        const byShard = found.get(endpoint.version) ?? new Map<number, PlacementEndpoint[]>();
        const list = byShard.get(shard.shard) ?? [];
        list.push({ node: placement.node, address: endpoint.address });
        byShard.set(shard.shard, list);
        found.set(endpoint.version, byShard);
      }
    }
  }
  return found;
}

function snapshotState(route: SnapshotRoute, seal: Seal, bindings: Map<string, VersionState>): SnapshotState {
  const cut = cutFromWire(route.cut ?? seal.cut);
  return {
    id: route.id,
    route,
    cut,
    meaning: meaningOf(cut, seal),
    seal,
    shardSeals: new Map(seal.shardSeals.map((s) => [s.shard, s])),
    rows: seal.shardSeals.reduce((sum, s) => sum + s.rows, 0n),
    createdAtMs: route.createdAt === undefined ? 0 : timestampMs(route.createdAt),
    bindings,
  };
}

/** Not the seal's own digest: a seal that was damaged is written anew, with other replicas in it perhaps. */
function meaningOf(cut: Cut, seal: Seal): string {
  const shards = seal.shardSeals.map((s) => `${s.shard} ${s.stateDigest} ${s.rows} ${s.broadcastRows}`).sort();
  const positions = cut.map((p) => [p.topic, p.topicId, p.partition, String(p.position)]);
  return sha256Of(JSON.stringify([positions, shards]));
}

function cutFromWire(cut: WireCut | undefined): Cut {
  return cutOf(cut?.positions ?? []);
}

/** The seal says what is expected of every shard, so it must be of this mesh and name each shard once. */
function sealDifferences(seal: Seal, route: SnapshotRoute, table: RouteTable): string[] {
  const found: string[] = [];
  if (seal.mesh !== table.mesh) found.push(`the seal is of mesh "${seal.mesh}"`);
  if (seal.snapshot !== route.id) found.push(`the seal is of snapshot "${seal.snapshot}"`);
  const sealed = seal.shardSeals.map((s) => s.shard).sort((a, b) => a - b);
  const expected = table.shards.map((s) => s.shard).sort((a, b) => a - b);
  if (sealed.join() !== expected.join()) found.push(`the seal holds shards ${sealed}, the table ${expected}`);
  return found;
}

/** The newest bound version of each service, by the snapshot it is bound at; the others must be compatible with it. */
function publicSurface(
  snapshots: ReadonlyMap<string, SnapshotState>,
  versions: ReadonlyMap<string, VersionState>,
  report: (pointer: string, detail: string) => void,
): Map<string, VersionState> {
  const surface = new Map<string, VersionState>();
  const newestFirst = [...snapshots.values()].sort((a, b) => b.createdAtMs - a.createdAtMs || (a.id < b.id ? 1 : -1));
  const compared = new Set<string>();
  for (const snapshot of newestFirst) {
    for (const [service, version] of snapshot.bindings) {
      const newest = surface.get(service);
      if (newest === undefined) surface.set(service, version);
      if (newest === undefined || compared.has(version.name) || newest === version) continue;
      compared.add(version.name);
      const differences = breakingDifferences(version.desc, newest.desc);
      const at = `/versions/${[...versions.keys()].indexOf(newest.name)}`;
      if (differences.length > 0)
        report(at, `${newest.name} breaks clients of ${version.name}: ${differences.join("; ")}`);
    }
  }
  return surface;
}

function retiredIds(
  former: RoutingState | undefined,
  now: ReadonlyMap<string, SnapshotState>,
): ReadonlyMap<string, string> {
  const before = [...(former?.snapshots.values() ?? [])].map(({ id, meaning }) => [id, meaning] as const);
  const gone = [...(former?.retired ?? []), ...before].filter(([id]) => !now.has(id));
  return new Map(gone.slice(-RETIRED_MAX));
}
