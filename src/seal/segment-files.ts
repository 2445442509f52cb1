import type { Segment, ShardManifest } from "../wire/generated/skynetes/v1/seal_pb.ts";

/** A file that a manifest names by its content: a segment, or the removals that came with one. */
export interface SegmentFile {
  readonly sha256: string;
  readonly bytes: bigint;
  readonly rows: bigint;
}

/** All files of a snapshot: what is archived, verified and kept. */
export function segmentsOf(manifest: ShardManifest): SegmentFile[] {
  return manifest.tables.flatMap((table) => table.segments).flatMap(filesOfSegment);
}

export function filesOfSegment(segment: Segment): SegmentFile[] {
  return segment.removals === undefined ? [segment] : [segment, segment.removals];
}
