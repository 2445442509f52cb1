import { create } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import type { ColumnType } from "../../src/mesh/column-type.ts";
import type { Cut } from "../../src/mesh/cut.ts";
import { combineStatistics, compareBounds } from "../../src/node/snapshot/column-statistics.ts";
import { longestChain } from "../../src/node/snapshot/segment-chain.ts";
import { addDigests, stateDigest } from "../../src/node/snapshot/state-digest.ts";
import { SegmentSchema } from "../../src/wire/generated/skynetes/v1/seal_pb.ts";
import { tableSpec } from "./node-fixture.ts";

const at = (position: number, topicId = "t1"): Cut => [
  { topic: "t", topicId, partition: 0, position: BigInt(position) },
];

function segment(from: number, to: number, topicId = "t1") {
  return create(SegmentSchema, {
    sha256: `${from}-${to}-${topicId}`,
    rows: BigInt(to - from),
    from: { positions: [...at(from, topicId)] },
    to: { positions: [...at(to, topicId)] },
  });
}

describe("the chain of segments that a freeze names again", () => {
  const chain = (segments: ReturnType<typeof segment>[], cut: number) => {
    const { segments: named, reached } = longestChain(segments, at(0), at(cut));
    return [...named.map(({ sha256 }) => sha256.replace("-t1", "")), Number(reached[0]!.position)];
  };

  test.each([
    ["nothing was written", [], 10, [0]],
    ["the whole cut was written", [segment(0, 10)], 10, ["0-10", 10]],
    ["the tail is missing", [segment(0, 10), segment(10, 20)], 25, ["0-10", "10-20", 20]],
    ["a segment passes the cut", [segment(0, 10), segment(10, 20)], 15, ["0-10", 10]],
    ["the only segment passes the cut", [segment(0, 10)], 5, [0]],
    ["one long segment is better than two short", [segment(0, 5), segment(5, 10), segment(0, 10)], 12, ["0-10", 10]],
    ["the longer way wins over the shorter", [segment(0, 9), segment(0, 5), segment(5, 10)], 10, ["0-5", "5-10", 10]],
    ["a gap cannot be passed", [segment(0, 5), segment(6, 10)], 10, ["0-5", 5]],
    ["a segment of a topic made anew is another's", [segment(0, 10, "t2")], 10, [0]],
  ])("%s", (_title, segments, cut, expected) => {
    expect(chain(segments, cut)).toEqual(expected);
    expect(chain([...segments].reverse(), cut)).toEqual(expected);
  });
});

test("statistics of segments widen, and a bound that one does not know nobody knows", () => {
  const table = tableSpec("t", "Append", { n: "INT64?", s: "STRING?", e: "STRING?" });
  const part = (rows: bigint, n: [string, string] | [], s: [string, string] | []) =>
    create(SegmentSchema, {
      rows,
      statistics: [
        n.length === 0 ? { column: "n", nulls: rows } : { column: "n", nulls: 1n, min: n[0], max: n[1] },
        s.length === 0 ? { column: "s", nulls: 0n } : { column: "s", nulls: 0n, min: s[0], max: s[1] },
        { column: "e", nulls: rows },
      ],
    });
  const combined = combineStatistics(table, [
    part(9n, ["-10", "9"], ["b", "z"]),
    part(5n, [], []),
    part(3n, ["2", "10"], ["a", "c"]),
  ]);
  expect(combined.map(({ column, nulls, min, max }) => [column, nulls, min, max])).toEqual([
    ["n", 7n, "-10", "10"],
    ["s", 0n, undefined, undefined],
    ["e", 17n, undefined, undefined],
  ]);
});

test.each<[ColumnType, string, string]>([
  ["INT64", "9", "10"],
  ["INT64", "9007199254740992", "9007199254740993"],
  ["DECIMAL(38,2)", "-10.50", "9.00"],
  ["DOUBLE", "-1e+300", "2.5"],
  ["STRING", "\ud7ff", "😀"],
  ["STRING", "\uffff", "😀"],
  ["BYTES", "00", "0000"],
  ["BOOLEAN", "false", "true"],
  ["TIMESTAMP", "2001-01-01T00:00:00.000000Z", "2001-01-01T00:00:00.500000Z"],
])("%s: %s comes before %s", (type, a, b) => {
  expect(compareBounds(type, a, b)).toBeLessThan(0);
  expect(compareBounds(type, b, a)).toBeGreaterThan(0);
  expect(compareBounds(type, a, a)).toBe(0);
});

test("digests add up without overflow and without order", () => {
  const [all, one] = ["f".repeat(32), `${"0".repeat(15)}1${"0".repeat(15)}1`];
  expect(addDigests([all, one])).toBe("0".repeat(32));
  expect(addDigests([])).toBe("0".repeat(32));
  const tables = [
    { name: "a", rows: 1n, digest: one },
    { name: "b", rows: 2n, digest: all },
  ];
  expect(stateDigest(tables)).toBe(stateDigest([...tables].reverse()));
  expect(stateDigest(tables)).not.toBe(stateDigest([{ ...tables[0]!, name: "c" }, tables[1]!]));
  expect(stateDigest(tables)).toMatch(/^[0-9a-f]{32}$/);
});
