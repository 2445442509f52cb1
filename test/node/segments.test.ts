import { create } from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { ColumnType } from "../../src/mesh/column-type.ts";
import type { Cut } from "../../src/mesh/cut.ts";
import { combineStatistics, compareBounds } from "../../src/node/snapshot/column-statistics.ts";
import { firstToMerge } from "../../src/node/snapshot/compaction-rule.ts";
import { addDigests, stateDigest, subtractDigests } from "../../src/node/snapshot/state-digest.ts";
import { nearestState, type TableState } from "../../src/node/snapshot/table-state.ts";
import { RemovalsSchema, SegmentSchema } from "../../src/wire/generated/skynetes/v1/seal_pb.ts";
import { tableSpec } from "./node-fixture.ts";

const TABLE = tableSpec("t", "Append", { a: "INT64" });
const at = (position: number, topicId = "t1"): Cut => [
  { topic: "t", topicId, partition: 0, position: BigInt(position) },
];

function segment(from: number, to: number, topicId = "t1") {
  return create(SegmentSchema, {
    sha256: `${from}-${to}`,
    rows: BigInt(to - from),
    from: { positions: [...at(from, topicId)] },
    to: { positions: [...at(to, topicId)] },
  });
}

describe("the state that a freeze goes on from", () => {
  /** Ends of its segments; the last number is the cut that the state was frozen at. */
  const state = (...ends: number[]) => ({
    segments: ends.slice(0, -1).map((to, i) => segment(i === 0 ? 0 : ends[i - 1]!, to)),
    reached: at(ends.at(-1)!),
  });

  test.each<[string, TableState[], number, (string | number)[] | undefined]>([
    ["nothing was frozen", [], 10, undefined],
    ["the whole cut was frozen", [state(10, 10)], 10, ["0-10", 10]],
    ["the tail is missing", [state(10, 20, 20)], 25, ["0-10", "10-20", 20]],
    ["records beyond the last segment made no row", [state(10, 12)], 25, ["0-10", 12]],
    ["the cut lies within: the beginning of a state is one", [state(10, 20, 20)], 15, ["0-10", 10]],
    ["the only segment passes the cut", [state(10, 10)], 5, undefined],
    ["one long segment is better than two short", [state(5, 10, 10), state(10, 10)], 12, ["0-10", 10]],
    ["the nearer one wins", [state(9, 9), state(5, 10, 10)], 10, ["0-5", "5-10", 10]],
    ["a table without rows is a state too", [state(10)], 12, [10]],
    ["a topic made anew is another", [{ segments: [segment(0, 10, "t2")], reached: at(10, "t2") }], 10, undefined],
  ])("%s", (_title, states, cut, expected) => {
    const nearest = (all: TableState[]) => {
      const found = nearestState(all, TABLE, at(cut), []);
      return found && [...found.segments.map(({ sha256 }) => sha256), Number(found.reached[0]!.position)];
    };
    expect(nearest(states)).toEqual(expected);
    expect(nearest([...states].reverse())).toEqual(expected);
  });

  test("below the horizon of the store a state serves its own cut only", () => {
    expect(nearestState([state(10, 10)], TABLE, at(20), at(11))).toBeUndefined();
    expect(nearestState([state(10, 10)], TABLE, at(10), at(11))).toBeDefined();
    expect(nearestState([state(10, 10)], TABLE, at(20), at(10))).toBeDefined();
  });

  test("an upsert segment without positions is named again and never added to", () => {
    const upsert = { ...TABLE, kind: "Upsert" as const, key: ["a"] };
    const old = { segments: [create(SegmentSchema, { sha256: "old", rows: 1n })], reached: at(10) };
    expect(nearestState([old], upsert, at(10), [])?.segments).toEqual(old.segments);
    expect(nearestState([old], upsert, at(11), [])).toBeUndefined();
  });
});

describe("which segments are merged", () => {
  const of = (...weights: number[]) => weights.map((rows) => create(SegmentSchema, { rows: BigInt(rows) }));
  test.each<[number[], number | undefined]>([
    [[], undefined],
    [[5], undefined],
    [[9000, 300, 40], undefined],
    [[9000, 300, 40, 30], 2],
    [[9000, 300, 160], 1],
    [[9000, 300, 40, 5000], 0],
    [[3, 1], undefined],
    [[2, 1], 0],
  ])("%j from %j on", (weights, expected) => {
    expect(firstToMerge(of(...weights))).toBe(expected);
  });

  test("when half of all rows are removed, all are", () => {
    const removals = (rows: number) => ({ removals: create(RemovalsSchema, { rows: BigInt(rows) }) });
    const [base] = of(1000);
    expect(firstToMerge([base!, create(SegmentSchema, { rows: 0n, ...removals(499) })])).toBeUndefined();
    expect(firstToMerge([base!, create(SegmentSchema, { rows: 0n, ...removals(500) })])).toBe(0);
  });

  test("tails of any sizes: few segments, and each row written few times", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 5000 }), { minLength: 1, maxLength: 400 }), (tails) => {
        let segments = of();
        let written = 0n;
        for (const tail of tails) {
          const first = firstToMerge(segments);
          if (first !== undefined) {
            const rows = segments.slice(first).reduce((sum, s) => sum + s.rows, 0n);
            written += rows;
            segments = [...segments.slice(0, first), create(SegmentSchema, { rows })];
          }
          segments = [...segments, ...of(tail)];
          written += BigInt(tail);
        }
        const rows = tails.reduce((a, b) => a + b, 0);
        expect(segments.length).toBeLessThanOrEqual(2 + Math.ceil(Math.log(rows) / Math.log(3)));
        expect(Number(written)).toBeLessThanOrEqual(rows * (2 + Math.log(rows) / Math.log(1.5)));
      }),
      { numRuns: 100 },
    );
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
  expect(subtractDigests(addDigests([all, one, one]), [one, all])).toBe(one);
  const tables = [
    { name: "a", rows: 1n, digest: one },
    { name: "b", rows: 2n, digest: all },
  ];
  expect(stateDigest(tables)).toBe(stateDigest([...tables].reverse()));
  expect(stateDigest(tables)).not.toBe(stateDigest([{ ...tables[0]!, name: "c" }, tables[1]!]));
  expect(stateDigest(tables)).toMatch(/^[0-9a-f]{32}$/);
});
