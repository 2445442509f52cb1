import { create, toBinary } from "@bufbuild/protobuf";
import type { Fault } from "../../fault/fault.ts";
import type { ShardSeal } from "../../wire/generated/skynetes/v1/seal_pb.ts";
import {
  type Completeness,
  CompletenessSchema,
  MissingShardsSchema,
} from "../../wire/generated/skynetes/v1/stamp_pb.ts";

/** gRPC metadata has limits on the way (8 KiB in many proxies), so the header stays well below. */
const HEADER_BYTES_MAX = 4096;

/**
 * Expected against answered. What is expected comes from the seal, never from who happened to answer; `missing` holds
 * the shards that were given up, each with its fault.
 */
export function completenessOf(
  seals: ReadonlyMap<number, ShardSeal>,
  missing: ReadonlyMap<number, Fault>,
): Completeness {
  let expectedRows = 0n;
  let answeredRows = 0n;
  const byReason = new Map<string, number[]>();
  for (const [shard, seal] of seals) {
    expectedRows += seal.rows;
    const fault = missing.get(shard);
    if (fault === undefined) {
      answeredRows += seal.rows;
    } else {
      const reason = missingReason(fault);
      const others = byReason.get(reason);
      if (others === undefined) byReason.set(reason, [shard]);
      else others.push(shard);
    }
  }
  const rangesByReason = [...byReason].map(([reason, shards]) => ({ reason, shards: shardRanges(shards) }));
  return create(CompletenessSchema, {
    complete: missing.size === 0,
    shards: { expected: seals.size, answered: seals.size - missing.size },
    rows: { expected: expectedRows, answered: answeredRows },
    missing: rangesByReason.sort((a, b) => (a.reason < b.reason ? -1 : 1)),
  });
}

const complete = new WeakMap<ReadonlyMap<number, ShardSeal>, Completeness>();

/** Of an answer with all shards in it: one object for a snapshot. */
export function completeOf(seals: ReadonlyMap<number, ShardSeal>): Completeness {
  const known = complete.get(seals) ?? completenessOf(seals, new Map());
  complete.set(seals, known);
  return known;
}

/** The share that partial answers are measured by: of rows, or of shards where there are no rows at all. */
export function answeredShare(completeness: Completeness): number {
  const { rows, shards } = completeness;
  if (rows !== undefined && rows.expected > 0n) {
    // A millionth is fine enough for a bound that people write, and a quotient of bigints is exact.
    return Number((rows.answered * 1_000_000n) / rows.expected) / 1_000_000;
  }
  return shards === undefined || shards.expected === 0 ? 1 : shards.answered / shards.expected;
}

/** `[0, 1, 2, 7]` as `0-2,7`. */
export function shardRanges(shards: readonly number[]): string {
  const ranges: [number, number][] = [];
  for (const shard of [...shards].sort((a, b) => a - b)) {
    const last = ranges.at(-1);
    if (last !== undefined && last[1] === shard - 1) last[1] = shard;
    else ranges.push([shard, shard]);
  }
  return ranges.map(([from, to]) => (from === to ? `${from}` : `${from}-${to}`)).join(",");
}

function missingReason(fault: Fault): string {
  if (fault.id === "stamp-mismatch") return "STAMP_MISMATCH";
  return fault.detail.reason ?? fault.code;
}

/** For the metadata of a gRPC reply: never so long that a proxy drops it, and then the list says that it is cut. */
export function completenessHeader(completeness: Completeness): Uint8Array {
  let bytes = toBinary(CompletenessSchema, completeness);
  for (let kept = completeness.missing.length; bytes.length > HEADER_BYTES_MAX && kept > 0; ) {
    kept = Math.floor(kept / 2);
    const more = create(MissingShardsSchema, { reason: "MORE_NOT_LISTED" });
    const missing = [...completeness.missing.slice(0, kept), more];
    bytes = toBinary(CompletenessSchema, create(CompletenessSchema, { ...completeness, missing }));
  }
  return bytes;
}
