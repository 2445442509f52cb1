import { create, fromBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Fault } from "../../../src/fault/fault.ts";
import {
  answeredShare,
  completenessHeader,
  completenessOf,
  shardRanges,
} from "../../../src/gateway/reply/answer-completeness.ts";
import { ShardSealSchema } from "../../../src/wire/generated/skynetes/v1/seal_pb.ts";
import { CompletenessSchema } from "../../../src/wire/generated/skynetes/v1/stamp_pb.ts";

const seals = (rows: readonly bigint[]) =>
  new Map(rows.map((n, shard) => [shard, create(ShardSealSchema, { shard, rows: n })]));
const gone = (shards: readonly number[], reason = "UNAVAILABLE") =>
  new Map(shards.map((shard) => [shard, new Fault("shard-unavailable", "gone", { reason })]));

describe("completeness", () => {
  test("what is expected comes from the seal, and what is missing is taken from it", () => {
    expect(completenessOf(seals([5n, 7n, 11n]), gone([1]))).toMatchObject({
      complete: false,
      shards: { expected: 3, answered: 2 },
      rows: { expected: 23n, answered: 16n },
      missing: [{ shards: "1", reason: "UNAVAILABLE" }],
    });
  });

  test("shards are grouped by reason", () => {
    const missing = new Map([...gone([0, 1, 2, 5]), ...gone([3], "DEADLINE_EXCEEDED")]);
    expect(completenessOf(seals([1n, 1n, 1n, 1n, 1n, 1n]), missing).missing).toMatchObject([
      { shards: "3", reason: "DEADLINE_EXCEEDED" },
      { shards: "0-2,5", reason: "UNAVAILABLE" },
    ]);
  });

  test("ranges name exactly the shards", () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.nat(300), { minLength: 1 }), (shards) => {
        const read = shardRanges(shards)
          .split(",")
          .flatMap((range) => {
            const [from, to = from] = range.split("-").map(Number) as [number, number?];
            return Array.from({ length: to! - from + 1 }, (_, i) => from + i);
          });
        expect(read).toEqual([...shards].sort((a, b) => a - b));
      }),
    );
  });

  test("the share is of rows; of shards where there are no rows; exact beyond doubles", () => {
    expect(answeredShare(completenessOf(seals([1n, 3n]), gone([0])))).toBe(0.75);
    expect(answeredShare(completenessOf(seals([0n, 0n]), gone([0])))).toBe(0.5);
    expect(answeredShare(completenessOf(seals([1n, 2n ** 60n]), gone([0])))).toBeLessThan(1);
  });

  test("the header stays within 4 KiB and says when it is cut", () => {
    const many = Array.from({ length: 4_000 }, (_, i) => i);
    const missing = new Map(
      many.map((shard) => [shard, new Fault("shard-failed", "x", { reason: `REASON_${shard % 900}` })]),
    );
    const header = completenessHeader(completenessOf(seals(many.map(() => 1n)), missing));
    expect(header.length).toBeLessThanOrEqual(4096);
    const read = fromBinary(CompletenessSchema, header);
    expect(read.shards).toMatchObject({ expected: 4000, answered: 0 });
    expect(read.missing.at(-1)?.reason).toBe("MORE_NOT_LISTED");
  });
});
