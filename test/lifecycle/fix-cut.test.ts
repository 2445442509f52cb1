import { describe, expect, test } from "vitest";
import { fixCut, type TopicReading } from "../../src/lifecycle/fix-cut.ts";
import { dueSnapshot, nextDueMs } from "../../src/lifecycle/schedule.ts";
import { shardCut } from "../../src/lifecycle/shard-cut.ts";
import { cutText } from "../../src/mesh/cut.ts";
import { smallManifest } from "./small-manifest.ts";

const { mesh } = smallManifest([["a"], ["b"]]);
const now = { asOfMs: undefined, allowInexactAsOf: false, nowMs: 1000 };

function readings(...atTime: (bigint | undefined)[]): TopicReading[] {
  const flights = atTime.map((at, i) => ({ bound: BigInt(10 + i), atTime: at }));
  return [
    { topic: "flights", topicId: "f", partitions: flights },
    { topic: "airports", topicId: "a", partitions: [{ bound: 7n, atTime: undefined }] },
  ];
}

describe("a cut", () => {
  test("of now is at the end of every partition", () => {
    const decision = fixCut(mesh.topics, readings(undefined, undefined), now);
    expect(decision.kind === "fixed" && cutText(decision.cut.positions)).toBe("airports/0@7 flights/0@10 flights/1@11");
  });

  test("as of a time is before its first record, and takes topics without time whole", () => {
    const decision = fixCut(mesh.topics, readings(4n, 0n), { ...now, asOfMs: 500 });
    expect(decision.kind === "fixed" && cutText(decision.cut.positions)).toBe("airports/0@7 flights/0@4 flights/1@0");
  });

  test("as of a time that a partition has not passed waits and names it", () => {
    expect(fixCut(mesh.topics, readings(4n, undefined), { ...now, asOfMs: 500 })).toEqual({
      kind: "not-yet",
      reason: "flights/1 has no record at or after 1970-01-01T00:00:00.500Z yet",
    });
  });

  test("as of a time in a topic that is not ordered is refused, or marked where that is accepted", () => {
    const topics = mesh.topics.map((t) => (t.name === "flights" ? { ...t, timestamps: "Unordered" as const } : t));
    const request = { ...now, asOfMs: 500 };
    expect(fixCut(topics, readings(4n, 4n), request).kind).toBe("refused");
    const decision = fixCut(topics, readings(4n, 4n), { ...request, allowInexactAsOf: true });
    expect(decision.kind === "fixed" && decision.cut.inexactTopics).toEqual(["flights"]);
  });

  test("has a part for each shard: its partition, and broadcast topics whole", () => {
    const decision = fixCut(mesh.topics, readings(undefined, undefined), now);
    const parts = [0, 1].map(
      (shard) => decision.kind === "fixed" && cutText(shardCut(mesh, decision.cut.positions, shard)),
    );
    expect(parts).toEqual(["airports/0@7 flights/0@10", "airports/0@7 flights/1@11"]);
  });
});

describe("the schedule", () => {
  const start = Date.UTC(2001, 0, 1);

  test.each([
    ["*/10 * * * * *", 9_999, undefined],
    ["*/10 * * * * *", 10_000, "20010101t000010z"],
    ["*/10 * * * * *", 35_500, "20010101t000030z"],
    ["0 0 * * *", 3 * 86_400_000 + 5, "20010104t000000z"],
    ["0 0 * * *", 0, undefined],
  ])("%s after %d ms is due for %s", (cron, ms, id) => {
    expect(dueSnapshot(cron, start, start + ms)?.id).toBe(id);
  });
});

test("the next moment of the schedule is after now, also when now is one", () => {
  const now = Date.parse("2001-01-01T00:00:00.000Z");
  expect(nextDueMs("* * * * * *", now) - now).toBe(1000);
  expect(nextDueMs("* * * * * *", now + 999) - now).toBe(1000);
  expect(nextDueMs("0 * * * *", now + 1) - now).toBe(3_600_000);
});
