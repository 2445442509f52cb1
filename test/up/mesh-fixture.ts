import type { Manifest } from "../../src/manifest/manifest.ts";
import type { ServiceVersionName } from "../../src/mesh/service-version.ts";
import type { SnapshotId } from "../../src/mesh/snapshot-id.ts";

export const DELAY = "flights.v1.DelayService";
export const V1 = "delay-v1-00000001" as ServiceVersionName;
export const V2 = "delay-v2-00000002" as ServiceVersionName;
export const NETWORK = "network-v1-00000003" as ServiceVersionName;

/** A small manifest as the parser would make it: two nodes, four shards, two versions of a service and another one. */
export function manifestFixture(over: Partial<Manifest["mesh"]> = {}, snapshots: Manifest["snapshots"] = []): Manifest {
  const version = (name: ServiceVersionName, service: string) => ({
    name,
    service,
    run: { kind: "module" as const, module: "./service.ts" },
    env: { VERSION: name },
    memoryLimitBytes: undefined,
    transport: "stream" as const,
  });
  return {
    mesh: {
      name: "flights",
      shards: 4,
      nodes: [{ name: "node-a" }, { name: "node-b" }],
      placements: [["node-a"], ["node-b"], ["node-a"], ["node-b"]],
      topics: [],
      tables: [],
      schedule: undefined,
      gateway: {},
      ...over,
    },
    versions: [version(V1, DELAY), version(V2, DELAY), version(NETWORK, "flights.v1.NetworkService")],
    snapshots,
    directory: "/manifests",
  };
}

export function snapshotFixture(id: string, version: ServiceVersionName): Manifest["snapshots"][number] {
  return {
    id: id as SnapshotId,
    asOfMs: undefined,
    allowInexactAsOf: false,
    bindings: [{ service: DELAY, version }],
    pinned: false,
  };
}
