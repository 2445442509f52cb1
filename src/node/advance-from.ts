import type { MessageInitShape } from "@bufbuild/protobuf";
import { type SegmentFile, segmentsOf } from "../seal/segment-files.ts";
import type { AdvanceFromSchema } from "../wire/generated/skynetes/v1/binding_pb.ts";
import type { ShardManifest } from "../wire/generated/skynetes/v1/seal_pb.ts";
import type { FrozenShard } from "./frozen-shard.ts";

/** A service holds few snapshots that are nearly alike; more would make each bind's request longer than its work. */
const OFFERED_MAX = 8;

/**
 * The snapshots here that a service may advance from to the one it is to bind: those that share a segment with it, the
 * fewest bytes of difference first. What the difference is in rows, whoever binds works out from the manifests.
 */
export function advanceFrom(
  manifest: ShardManifest,
  frozen: Iterable<FrozenShard>,
): MessageInitShape<typeof AdvanceFromSchema>[] {
  const segments = segmentsOf(manifest);
  const own = new Set(segments.map(({ sha256 }) => sha256));
  const offered = [];
  for (const { manifest: former, manifestSha256 } of frozen) {
    if (former.snapshot === manifest.snapshot) continue;
    const formers = segmentsOf(former);
    const theirs = new Set(formers.map(({ sha256 }) => sha256));
    const fresh = segments.filter(({ sha256 }) => !theirs.has(sha256));
    const gone = formers.filter(({ sha256 }) => !own.has(sha256));
    // Nothing in common: to compare them costs as much as to load.
    if (fresh.length === segments.length && gone.length === formers.length && segments.length > 0) continue;
    offered.push({ snapshot: former.snapshot, manifestSha256, fresh, gone, bytes: bytesOf(fresh) + bytesOf(gone) });
  }
  return offered
    .sort((a, b) => a.bytes - b.bytes || (a.snapshot < b.snapshot ? 1 : -1))
    .slice(0, OFFERED_MAX)
    .map(({ snapshot, manifestSha256, fresh, gone }) => ({
      snapshot,
      manifestSha256,
      newSegments: fresh.map(({ sha256 }) => sha256),
      goneSegments: gone.map(({ sha256 }) => sha256),
    }));
}

function bytesOf(segments: readonly SegmentFile[]): number {
  return segments.reduce((sum, { bytes }) => sum + Number(bytes), 0);
}
