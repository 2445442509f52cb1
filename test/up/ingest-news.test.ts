import { describe, expect, test } from "vitest";
import type { ObservedNode } from "../../src/lifecycle/observed-mesh.ts";
import { IngestNews } from "../../src/up/drive/ingest-news.ts";

function node(alarm: string | undefined, rejected = 0n): readonly ObservedNode[] {
  const shards = [{ shard: 1, position: [], horizon: [], frozen: [], rejected, alarm }];
  return [{ name: "node-a", status: { kind: "up", instance: "1", shards } }];
}
function nodeBehind(behindMs: number): readonly ObservedNode[] {
  const lag = { topic: "flights", partition: 1, records: 7n, behindMs };
  const shards = [{ shard: 1, position: [], horizon: [], frozen: [], rejected: 0n, alarm: undefined, lag }];
  return [{ name: "node-a", status: { kind: "up", instance: "1", shards } }];
}
const DOWN: readonly ObservedNode[] = [{ name: "node-a", status: { kind: "down", reason: "exited" } }];

describe("what the driver tells of ingest", () => {
  test("an alarm is told when it is raised or changes, and not at every look or after the node was away", () => {
    const news = new IngestNews();
    expect(news.of(node(undefined))).toEqual([]);
    expect(news.of(node("data-corrupt: flights/1@7"))).toEqual(["shard 1 on node-a: data-corrupt: flights/1@7"]);
    expect(news.of(node("data-corrupt: flights/1@7"))).toEqual([]);
    expect(news.of(DOWN)).toEqual([]);
    expect(news.of(node("data-corrupt: flights/1@7"))).toEqual([]);
    expect(news.of(node("store-failed: no space left"))).toEqual(["shard 1 on node-a: store-failed: no space left"]);
  });

  test("an alarm that went away and comes back is told again", () => {
    const news = new IngestNews();
    news.of(node("store-failed: no space left"));
    news.of(node(undefined));
    expect(news.of(node("store-failed: no space left"))).toHaveLength(1);
  });

  test("a shard that is behind its log is told from a minute on, at each doubling, and when it no longer is", () => {
    const news = new IngestNews();
    const told = [1, 59, 60, 61, 119, 120, 239, 240, 1, 2, 60].map((seconds) => news.of(nodeBehind(seconds * 1000)));
    const behind = (seconds: number) => [
      `shard 1 on node-a: behind flights/1 for ${seconds} s, 7 records as far as is known`,
    ];
    const again = ["shard 1 on node-a: all that the log has is applied again"];
    expect(told).toEqual([[], [], behind(60), [], [], behind(120), [], behind(240), again, [], behind(60)]);
  });

  test("records that cannot be decoded are told at the first and at each doubling", () => {
    const news = new IngestNews();
    const told = [0n, 1n, 1n, 2n, 3n, 4n, 7n, 8n].filter((rejected) => news.of(node(undefined, rejected)).length > 0);
    expect(told).toEqual([1n, 2n, 4n, 8n]);
    expect(news.of(node(undefined, 16n))).toEqual([
      "shard 1 on node-a: 16 records could not be decoded and are in no answer",
    ]);
  });
});
