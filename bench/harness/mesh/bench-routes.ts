import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { directFiles } from "../../../src/archive/direct-files.ts";
import { writeSeal } from "../../../src/seal/seal-file.ts";
import { SealSchema } from "../../../src/wire/generated/skynetes/v1/seal_pb.ts";
import type { RouteTableSchema } from "../../../src/wire/generated/skynetes/v1/table_pb.ts";
import type { ServedPod } from "../service/pod-process.ts";
import { MESH, nodeOf, SERVICE, SNAPSHOT, SNAPSHOT_ROWS, stateDigestOf, VERSION } from "./bench-names.ts";

export type RouteTableInit = MessageInitShape<typeof RouteTableSchema>;

/** Seals the one snapshot in the archive and routes it to the pods; `addressOf` puts something between, such as a proxy. */
export async function benchRoutes(
  archive: string,
  shards: number,
  pods: readonly ServedPod[],
  addressOf: (pod: ServedPod) => string = (pod) => pod.address,
): Promise<RouteTableInit> {
  const positions = Array.from({ length: shards }, (_, partition) => {
    return { topic: "bench", topicId: "x", partition, position: 1n };
  });
  const createdAt = timestampFromMs(1_700_000_000_000);
  const shardSeals = positions.map((_, shard) => {
    return { shard, stateDigest: stateDigestOf(shard), rows: BigInt(SNAPSHOT_ROWS) };
  });
  const seal = create(SealSchema, {
    mesh: MESH,
    snapshot: SNAPSHOT,
    shards,
    cut: { positions },
    createdAt,
    shardSeals,
  });
  const sealSha256 = await writeSeal(directFiles(archive), seal);
  const [pod] = pods;
  if (pod === undefined) throw new Error("a route table needs pods");
  return {
    mesh: MESH,
    epoch: 1n,
    shards: positions.map((_, shard) => ({
      shard,
      placements: pods
        .filter((p) => p.shard === shard)
        .map((p) => ({
          node: nodeOf(p.shard, p.placement),
          endpoints: [{ version: VERSION, address: addressOf(p) }],
        })),
    })),
    versions: [{ name: VERSION, service: SERVICE, descriptors: pod.descriptors, converse: pod.converse }],
    snapshots: [
      { id: SNAPSHOT, sealSha256, cut: { positions }, createdAt, bindings: [{ service: SERVICE, version: VERSION }] },
    ],
    latest: [{ service: SERVICE, snapshot: SNAPSHOT }],
  };
}
