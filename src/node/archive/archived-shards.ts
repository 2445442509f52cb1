import { Fault } from "../../fault/fault.ts";
import { segmentsOf } from "../../seal/segment-files.ts";
import type { FrozenShard } from "../frozen-shard.ts";
import type { Archive, ArchiveKey } from "./archive.ts";

/** A snapshot of a shard that can be brought back from the archive. */
export interface ArchivedShard {
  readonly snapshot: string;
  /** Whose copy it is. */
  readonly node: string;
  readonly frozen: FrozenShard;
}

/**
 * A shard's snapshots in the archive, from any node's copy, the one with most of the log first: what a node that lost
 * its disk, or that never held the shard, begins from. Named are only those whose manifest reads as this mesh's and
 * whose objects are all there; bytes are compared when they are fetched. Reads every manifest of the shard.
 */
export async function archivedShards(archive: Archive, mesh: string, shard: number): Promise<ArchivedShard[]> {
  const found: ArchivedShard[] = [];
  for (const snapshot of await archive.snapshots(shard)) {
    const whole = await wholeCopy(archive, mesh, shard, snapshot);
    if (whole !== undefined) found.push(whole);
  }
  // More positions in all is an order in which no cut comes after one that it contains.
  return found.sort((a, b) => {
    const [left, right] = [positionsOf(a), positionsOf(b)];
    return left > right ? -1 : left < right ? 1 : a.snapshot < b.snapshot ? -1 : 1;
  });
}

/** Copies whose manifest reads as that shard of that snapshot, `first`'s first. */
export async function* readableCopies(
  archive: Archive,
  mesh: string,
  { shard, snapshot }: Omit<ArchiveKey, "node">,
  first?: string,
): AsyncGenerator<ArchivedShard> {
  const names = await archive.replicas(shard, snapshot);
  const nodes = [...new Set(names.map(({ node }) => node))].sort((a, b) => Number(b === first) - Number(a === first));
  for (const node of nodes) {
    const frozen = await archive.readManifest({ shard, snapshot, node }).catch((error: unknown) => {
      if (error instanceof Fault && error.id === "data-corrupt") return undefined;
      throw error;
    });
    if (frozen === undefined) continue;
    const { manifest } = frozen;
    if (manifest.mesh !== mesh || manifest.shard !== shard || manifest.snapshot !== snapshot) continue;
    yield { snapshot, node, frozen };
  }
}

async function wholeCopy(archive: Archive, mesh: string, shard: number, snapshot: string) {
  for await (const copy of readableCopies(archive, mesh, { shard, snapshot })) {
    if ((await archive.missing(segmentsOf(copy.frozen.manifest))).length === 0) return copy;
  }
  return undefined;
}

function positionsOf({ frozen }: ArchivedShard): bigint {
  return (frozen.manifest.cut?.positions ?? []).reduce((sum, { position }) => sum + position, 0n);
}
