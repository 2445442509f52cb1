import type { BindingSpec, Manifest, SnapshotSchedule } from "../../src/manifest/manifest.ts";
import { type ServiceVersionName, serviceVersionName } from "../../src/mesh/service-version.ts";

export const V1 = version("delay-v1-00000001");
export const V2 = version("delay-v2-00000002");
export const N1 = version("network-v1-00000003");
export const DELAY = "flights.v1.DelayService";
export const NETWORK = "flights.v1.NetworkService";

function version(name: string): ServiceVersionName {
  const checked = serviceVersionName(name);
  if (checked === undefined) throw new Error(`${name} is no version`);
  return checked;
}

export function binding(service: string, to: ServiceVersionName): BindingSpec {
  return { service, version: to };
}

/** Two services, three versions, one sharded and one broadcast topic. */
export function smallManifest(
  placements: readonly (readonly string[])[],
  schedule: SnapshotSchedule | undefined = undefined,
): Manifest {
  const nodes = [...new Set(placements.flat())].sort();
  const topic = { format: "JSON", seed: undefined } as const;
  return {
    mesh: {
      name: "small",
      shards: placements.length,
      nodes: nodes.map((name) => ({ name })),
      placements,
      topics: [
        { ...topic, name: "flights", partitions: placements.length, timestamps: "NonDecreasing" },
        { ...topic, name: "airports", partitions: 1, timestamps: "None" },
      ],
      tables: [
        { name: "flights", topic: "flights", kind: "Append", distribution: "Sharded", key: [], columns: [] },
        { name: "airports", topic: "airports", kind: "Upsert", distribution: "Broadcast", key: ["iata"], columns: [] },
      ],
      schedule,
      gateway: {},
    },
    versions: [
      [V1, DELAY],
      [V2, DELAY],
      [N1, NETWORK],
    ].map(([name, service]) => ({
      name: name as ServiceVersionName,
      service: service as string,
      run: { kind: "module", module: "./service.ts" },
      env: {},
      memoryLimitBytes: undefined,
      transport: "stream" as const,
    })),
    snapshots: [],
    directory: "/",
  };
}
