import type { Manifest } from "../manifest/manifest.ts";

/**
 * Where a replica of a shard stands. A move is a `Joining` one beside a `Leaving` one: the one that leaves goes on serving
 * until all that joins serves in its stead, is then taken out of the table (`Removing`), and goes when no query can use it.
 */
export type PlacementPhase = "Placed" | "Joining" | "Leaving" | "Removing";

/** A replica of a shard on a node, as it is wished for. Durable, since half of a move must not be forgotten. */
export interface Placement {
  readonly shard: number;
  readonly node: string;
  readonly phase: PlacementPhase;
}

/** The manifest with the placements as they are now, where anybody knows, instead of those that it was written with. */
export function placedManifest(manifest: Manifest, placements: readonly Placement[] | undefined): Manifest {
  if (placements === undefined) return manifest;
  const nodesOf = (shard: number) =>
    placements.filter((p) => p.shard === shard && p.phase !== "Removing").map(({ node }) => node);
  const placed = manifest.mesh.placements.map((_, shard) => nodesOf(shard));
  return { ...manifest, mesh: { ...manifest.mesh, placements: placed } };
}
