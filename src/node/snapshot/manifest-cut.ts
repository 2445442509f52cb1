import { create } from "@bufbuild/protobuf";
import { type Cut, cutOf } from "../../mesh/cut.ts";
import { CutSchema, type Cut as WireCut } from "../../wire/generated/skynetes/v1/seal_pb.ts";

/** A cut as files and calls carry it. */
export function wireCut(cut: Cut): WireCut {
  return create(CutSchema, {
    positions: cut.map(({ topic, topicId, partition, position }) => ({ topic, topicId, partition, position })),
  });
}

export function cutFromWire(cut: WireCut | undefined): Cut {
  return cutOf(
    (cut?.positions ?? []).map(({ topic, topicId, partition, position }) => ({ topic, topicId, partition, position })),
  );
}

export function sameCut(a: Cut, b: Cut): boolean {
  return (
    a.length === b.length &&
    a.every((p, i) => {
      const q = b[i]!;
      return p.topic === q.topic && p.topicId === q.topicId && p.partition === q.partition && p.position === q.position;
    })
  );
}
