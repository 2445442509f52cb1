import type { MeshSpec } from "../manifest/manifest.ts";
import type { Cut } from "../mesh/cut.ts";

/** What a shard holds of a cut: its own partition of sharded topics, all partitions of broadcast ones. */
export function shardCut(mesh: MeshSpec, cut: Cut, shard: number): Cut {
  return cut.filter(({ topic, partition }) => {
    const tables = mesh.tables.filter((table) => table.topic === topic);
    if (tables.length === 0) return false;
    return partition === shard || tables.some((table) => table.distribution === "Broadcast");
  });
}
