import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ByteBudget, type HeldBytes } from "../../src/node/ingest/byte-budget.ts";
import { INGEST_LIMITS } from "../../src/node/ingest/ingest-limits.ts";
import { ingestPartition } from "../../src/node/ingest/ingest-partition.ts";
import { IngestStatus } from "../../src/node/ingest/ingest-status.ts";
import { readBatch } from "../../src/node/ingest/read-batch.ts";
import { recordDecoder } from "../../src/node/ingest/record-decoder.ts";
import type { IngestBatch, ShardStore } from "../../src/node/store/shard-store.ts";
import { systemClock } from "../../src/process/clock.ts";
import { MemoryLog } from "./memory-log.ts";
import { TABLES } from "./small-mesh.ts";

const never = new AbortController().signal;
const settled = () => new Promise((resolve) => setImmediate(resolve));

describe("a budget of bytes", () => {
  test("is never exceeded by what is taken, is given in turn, and comes back whole", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ take: fc.integer({ min: 1, max: 100 }), actual: fc.nat(100) })),
        async (asks) => {
          const budget = new ByteBudget(100);
          const entered: number[] = [];
          const holding: { readonly held: HeldBytes; readonly actual: number }[] = [];
          const taking = asks.map(async ({ take, actual }, i) => {
            const held = await budget.take(take, never);
            entered.push(i);
            expect(budget.held).toBeLessThanOrEqual(100);
            holding.push({ held, actual: Math.min(actual, take) });
          });
          while (entered.length < asks.length || holding.length > 0) {
            await settled();
            const { held, actual } = holding.shift()!;
            held.settle(actual);
            held.release();
            // Twice gives nothing back twice.
            held.release();
          }
          await Promise.all(taking);
          expect(entered).toEqual(asks.map((_, i) => i));
          expect(budget.held).toBe(0);
        },
      ),
    );
  });

  test("gives nobody more while another waits for its first", async () => {
    const budget = new ByteBudget(100);
    const [one, other] = [await budget.take(40, never), await budget.take(40, never)];
    expect(one.more(10)).toBe(true);
    const third = budget.take(30, never);
    expect(one.more(1)).toBe(false);
    other.release();
    (await third).release();
    expect(one.more(1)).toBe(true);
    expect(budget.held).toBe(51);
  });

  test("who stops waiting leaves the way free for those behind", async () => {
    const budget = new ByteBudget(100);
    const first = await budget.take(60, never);
    const stop = new AbortController();
    const large = budget.take(90, stop.signal);
    const small = budget.take(40, never);
    stop.abort(new Error("stopped"));
    await expect(large).rejects.toThrow("stopped");
    (await small).release();
    first.release();
    expect(budget.held).toBe(0);
  });
});

describe("ingest within a budget", () => {
  const VALUE = `{"id":1,"word":"${"w".repeat(80)}"}`;
  const PARTITIONS = 8;
  const RECORDS = 200;
  const MAX = 4_000;
  /** Records of the memory log come whole, so each partition may hold one above its share. */
  const MOST = MAX + PARTITIONS * VALUE.length;

  /** Stores whose commits end when the test says so. */
  class SlowStore implements Pick<ShardStore, "position" | "commit"> {
    readonly commits: { readonly batch: IngestBatch; end(): void }[] = [];
    async position() {
      return [];
    }
    commit(batch: IngestBatch): Promise<void> {
      return new Promise((end) => this.commits.push({ batch, end }));
    }
  }

  const LIMITS = { ...INGEST_LIMITS, fetchBytes: 300, pollBytes: 100 };
  const READING = { topic: "events", limits: LIMITS, decode: recordDecoder(TABLES[0]!), clock: systemClock };

  function append(log: MemoryLog, partition: number): void {
    log.append("events", partition, Array(RECORDS).fill({ value: VALUE }));
  }

  function ingesting() {
    const log = new MemoryLog();
    log.createTopic("events", PARTITIONS);
    const budget = new ByteBudget(MAX);
    const store = new SlowStore();
    const status = new IngestStatus([], 0n, systemClock);
    const stop = new AbortController();
    const loops = Array.from({ length: PARTITIONS }, (_, partition) => {
      const own = { shard: 0, partitions: PARTITIONS, partition, log, budget, watcher: status };
      const rest = { store: store as unknown as ShardStore, randomness: { unit: () => 0.5, id: () => "" } };
      return ingestPartition({ ...READING, ...own, ...rest }, stop.signal);
    });
    const bytesInStore = () =>
      store.commits.reduce((sum, { batch }) => sum + (batch.rows.length + batch.rejects.length) * VALUE.length, 0);
    return { log, budget, store, status, stop, loops, bytesInStore };
  }

  test("slow stores hold no more than the budget, and every partition comes to its end", async () => {
    const { log, budget, store, status, stop, loops, bytesInStore } = ingesting();
    for (let partition = 0; partition < PARTITIONS; partition++) append(log, partition);
    let largest = 0;
    const isDone = () => status.position.filter(({ position }) => position === BigInt(RECORDS)).length === PARTITIONS;
    while (!isDone()) {
      await settled();
      expect(bytesInStore()).toBeLessThanOrEqual(budget.held);
      expect(budget.held).toBeLessThanOrEqual(MOST);
      largest = Math.max(largest, bytesInStore());
      // The last that came is the first to end: who waits longest must get its turn all the same.
      store.commits.pop()?.end();
    }
    expect(largest).toBeGreaterThan(MAX / 2);
    stop.abort();
    await Promise.all(loops);
    expect(budget.held).toBe(0);
  });

  test("a store that hangs for one partition keeps its share and no other partition from its end", async () => {
    const { log, store, status, stop, loops, budget } = ingesting();
    const hung = 3;
    // Alone at first: it could have all there is.
    append(log, hung);
    while (store.commits.length === 0) await settled();
    const [left] = store.commits;
    expect(left!.batch.rows.length * VALUE.length).toBeLessThanOrEqual(MAX / PARTITIONS + VALUE.length);
    for (let partition = 0; partition < PARTITIONS; partition++) if (partition !== hung) append(log, partition);
    const isDone = () =>
      status.position.filter(({ position }) => position === BigInt(RECORDS)).length === PARTITIONS - 1;
    while (!isDone()) {
      await settled();
      const next = store.commits.findIndex(({ batch }) => batch.partition !== hung);
      if (next >= 0) store.commits.splice(next, 1)[0]!.end();
    }
    expect(store.commits).toEqual([left]);
    stop.abort();
    left!.end();
    await Promise.all(loops);
    expect(budget.held).toBe(0);
  });

  test("a batch ends where there is no room for more, although its share would allow it", async () => {
    const log = new MemoryLog();
    log.createTopic("events", 1);
    append(log, 0);
    const budget = new ByteBudget(MAX);
    const others = await budget.take(MAX - 1_000, never);
    const source = { ...READING, topicId: "id-of-events", partition: 0, log, budget };
    const { batch, held } = await readBatch(source, 0n, true, never);
    expect(batch.rows.length).toBeGreaterThan(0);
    expect(budget.held).toBeLessThanOrEqual(MAX + VALUE.length);
    held.release();
    others.release();
    expect(budget.held).toBe(0);
  });
});
