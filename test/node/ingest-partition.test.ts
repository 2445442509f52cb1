import { expect, test } from "vitest";
import { Fault } from "../../src/fault/fault.ts";
import type { FaultId } from "../../src/fault/fault-catalog.ts";
import type { Cut } from "../../src/mesh/cut.ts";
import { ByteBudget } from "../../src/node/ingest/byte-budget.ts";
import { INGEST_LIMITS } from "../../src/node/ingest/ingest-limits.ts";
import { ingestPartition } from "../../src/node/ingest/ingest-partition.ts";
import { IngestStatus } from "../../src/node/ingest/ingest-status.ts";
import { recordDecoder } from "../../src/node/ingest/record-decoder.ts";
import type { IngestBatch, ShardStore } from "../../src/node/store/shard-store.ts";
import { systemClock } from "../../src/process/clock.ts";
import { filledLog, TABLES } from "./small-mesh.ts";

/** A store that keeps offsets only, and fails as it is told to: before a commit, or after it. */
class ForgetfulStore implements Pick<ShardStore, "position" | "commit"> {
  readonly offsets: bigint[] = [];
  readonly failures: { id: FaultId; committed: boolean }[] = [];
  #position = 0n;

  async position(): Promise<Cut> {
    if (this.#position === 0n) return [];
    return [{ topic: "events", topicId: "id-of-events", partition: 0, position: this.#position }];
  }

  async commit(batch: IngestBatch): Promise<void> {
    if (batch.from !== this.#position) throw new Fault("fenced", `from ${batch.from}, at ${this.#position}`);
    const failure = this.failures.shift();
    if (failure !== undefined && !failure.committed) throw new Fault(failure.id, "told to fail");
    this.offsets.push(...[...batch.rows, ...batch.rejects].map(({ offset }) => offset));
    this.#position = batch.to;
    if (failure !== undefined) throw new Fault(failure.id, "told to fail after the commit");
  }
}

async function ingestAll(
  store: ForgetfulStore,
  until: (status: IngestStatus) => boolean,
  partitions = 2,
): Promise<IngestStatus> {
  const status = new IngestStatus([], 0n, systemClock);
  const stop = new AbortController();
  const loop = ingestPartition(
    {
      shard: 0,
      partitions,
      log: filledLog(100),
      store: store as unknown as ShardStore,
      topic: "events",
      partition: 0,
      decode: recordDecoder(TABLES[0]!),
      limits: { ...INGEST_LIMITS, batchRowsMax: 10, fetchBytes: 100, retryFirstMs: 1, retryMaxMs: 2 },
      clock: systemClock,
      randomness: { unit: () => 0.5, id: () => "id" },
      watcher: status,
      budget: new ByteBudget(1 << 20),
    },
    stop.signal,
  );
  while (!until(status)) await new Promise((resolve) => setTimeout(resolve, 1));
  stop.abort();
  await loop;
  return status;
}

test("a topic with another number of partitions than the manifest says is ingested by nobody, with both numbers", async () => {
  for (const declared of [1, 3]) {
    const store = new ForgetfulStore();
    const status = await ingestAll(store, ({ alarm }) => alarm !== "", declared);
    expect(status.alarm).toContain(`the topic has 2 partitions, the manifest says ${declared}`);
    expect(store.offsets).toEqual([]);
  }
});

const complete = (status: IngestStatus) => status.position[0]?.position === 103n;
const everyOffset = Array.from({ length: 100 }, (_, i) => BigInt(i));

test("a store that fails for a while loses nothing and applies nothing twice", async () => {
  const store = new ForgetfulStore();
  store.failures.push(
    { id: "store-failed", committed: false },
    { id: "store-failed", committed: false },
    // The commit was made, and the loop must not make it again.
    { id: "store-failed", committed: true },
  );
  const status = await ingestAll(store, complete);
  expect([...store.offsets].sort((a, b) => Number(a - b))).toEqual(everyOffset);
  expect(status.alarm).toBe("");
  expect(status.rejected).toBe(10n);
});

test("while the store cannot write there is an alarm", async () => {
  const store = new ForgetfulStore();
  store.failures.push(...Array.from({ length: 10_000 }, () => ({ id: "store-failed" as const, committed: false })));
  const status = await ingestAll(store, ({ alarm }) => alarm !== "");
  expect(status.alarm).toContain("store-failed: told to fail");
});

test("a shard that another writer has taken over stops for good", async () => {
  const store = new ForgetfulStore();
  store.failures.push({ id: "fenced", committed: false });
  const status = await ingestAll(store, ({ alarm }) => alarm !== "");
  expect(status.alarm).toContain("fenced");
  expect(store.offsets).toEqual([]);
});
