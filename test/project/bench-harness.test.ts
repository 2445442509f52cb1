/** What figures rest on: percentiles, medians, the right answers, and a network that keeps bytes in order. */
import { connect, createServer, type Socket } from "node:net";
import fc from "fast-check";
import { expect, onTestFinished, test } from "vitest";
import { Latencies, percentile } from "../../bench/harness/load/latencies.ts";
import { DelayRelay } from "../../bench/harness/network/delay-relay.ts";
import { medianRow } from "../../bench/harness/report/median.ts";
import { drawnGroups } from "../../bench/harness/service/drawn-groups.ts";
import { rightTop } from "../../bench/harness/service/right-answer.ts";

test("a percentile is the nearest rank, of thousands of values too", () => {
  expect([50, 99, 100].map((p) => percentile([1, 2, 3, 4], p))).toEqual([2, 4, 4]);
  expect(percentile([], 50)).toBeNaN();
  const latencies = new Latencies();
  for (let i = 10_000; i >= 1; i--) latencies.add(i);
  expect(latencies.summary()).toEqual({
    count: 10_000,
    p50Ms: 5000,
    p90Ms: 9000,
    p99Ms: 9900,
    p999Ms: 9990,
    maxMs: 10_000,
  });
});

test("the median of rows is that of each number", () => {
  const rows = [
    { name: "a", cpu: 3, ms: 10 },
    { name: "a", cpu: 1, ms: 30 },
    { name: "a", cpu: 2, ms: 20 },
  ];
  expect(medianRow(rows)).toEqual({ name: "a", cpu: 2, ms: 20 });
});

test("a shard has ten groups of different keys, and the right top list adds up all of them", () => {
  fc.assert(
    fc.property(fc.integer(), fc.integer({ min: 1, max: 64 }), (seed, shards) => {
      const groups = Array.from({ length: shards }, (_, shard) => drawnGroups(seed, shard));
      for (const ten of groups) expect(new Set(ten.map(({ key }) => key)).size).toBe(10);
      const all = rightTop(seed, shards, Number.POSITIVE_INFINITY);
      const total = (of: readonly { readonly third: number }[]) => of.reduce((sum, { third }) => sum + third, 0);
      expect(total(all)).toBe(total(groups.flat()));
      for (const [i, { first }] of all.entries()) expect(first).toBeLessThanOrEqual(all[Math.max(0, i - 1)]!.first);
    }),
  );
});

test("bytes through the relay come in order and whole, no sooner than a round trip, though segments are lost", async () => {
  const echo = createServer((socket) => socket.pipe(socket));
  await new Promise<void>((done) => echo.listen(0, "127.0.0.1", done));
  onTestFinished(() => void echo.close());
  const relay = new DelayRelay();
  onTestFinished(() => relay.close());
  relay.setQuality({ roundTripMs: 4, loss: 0.2 });
  const port = await relay.open((echo.address() as { port: number }).port);
  const sent = Buffer.from(Array.from({ length: 200_000 }, (_, i) => i % 251));
  const startedAt = performance.now();
  const { received, firstAt } = await exchange(connect(port, "127.0.0.1"), sent);
  expect(received.equals(sent)).toBe(true);
  expect(firstAt - startedAt).toBeGreaterThanOrEqual(4);
});

function exchange(socket: Socket, bytes: Buffer): Promise<{ received: Buffer; firstAt: number }> {
  const chunks: Buffer[] = [];
  let firstAt = Number.NaN;
  return new Promise((resolve, reject) => {
    socket.on("data", (chunk) => {
      if (chunks.length === 0) firstAt = performance.now();
      chunks.push(chunk);
    });
    socket.on("end", () => resolve({ received: Buffer.concat(chunks), firstAt }));
    socket.on("error", reject);
    socket.end(bytes);
  });
}
