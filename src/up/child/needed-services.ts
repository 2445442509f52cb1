import type { ObservedMesh } from "../../lifecycle/observed-mesh.ts";
import { versionUser } from "../../lifecycle/snapshot-user.ts";
import type { Manifest } from "../../manifest/manifest.ts";
import type { RouteTable } from "../../wire/generated/skynetes/v1/table_pb.ts";
import type { ControlState } from "../control/control-state.ts";
import { type ServiceProcess, shardsOf } from "./child-specs.ts";

/**
 * The service processes there must be. A version that some living snapshot binds, or that the route table names, has one
 * on each node; a version that nothing binds costs no memory.
 *
 * What has left the table is not idle yet: gateways may hold the table before it, and queries that began under it may be
 * under way. Only the plan knows when nobody can use it, and says so by unbinding; so a process that was `seen` stays
 * while it holds anything, and, since a busy one may not have answered, while a gateway may still send it a call.
 */
export function neededServices(
  manifest: Manifest,
  state: ControlState,
  table: RouteTable | undefined,
  seen: ObservedMesh | undefined,
): readonly ServiceProcess[] {
  const versions = new Set<string>([
    ...state.snapshots.flatMap((record) => record.bindings.map((binding) => binding.version)),
    ...(table?.snapshots ?? []).flatMap((snapshot) => snapshot.bindings.map((binding) => binding.version)),
  ]);
  const isStillUsed = (version: string, node: string) => {
    const process = seen?.services.find((service) => service.version === version && service.node === node);
    if (seen === undefined || process === undefined) return false;
    const holdsSome = process.status.kind === "up" && process.status.bound.length > 0;
    return holdsSome || versionUser(seen.gateways, table, version) !== undefined;
  };
  // A node that a shard has left keeps its services until what they hold is unbound.
  const isPlaced = (node: string) => shardsOf(manifest, node).length > 0;
  return manifest.versions.flatMap((version) =>
    manifest.mesh.nodes
      .filter(({ name }) => (versions.has(version.name) && isPlaced(name)) || isStillUsed(version.name, name))
      .map((node) => ({ node: node.name, version })),
  );
}
