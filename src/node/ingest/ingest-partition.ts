import { Fault } from "../../fault/fault.ts";
import type { FaultId } from "../../fault/fault-catalog.ts";
import { faultFromUnknown } from "../../fault/fault-from-unknown.ts";
import { type Position, positionIn } from "../../mesh/cut.ts";
import type { Randomness } from "../../process/clock.ts";
import { sleep } from "../../process/clock.ts";
import { step } from "../../telemetry/step-channel.ts";
import type { IngestBatch, ShardStore } from "../store/shard-store.ts";
import { type BatchSource, readBatch } from "./read-batch.ts";

export interface PartitionIngest extends Omit<BatchSource, "topicId"> {
  readonly shard: number;
  /** How many the topic has by the manifest. */
  readonly partitions: number;
  readonly store: ShardStore;
  readonly randomness: Randomness;
  readonly watcher: IngestWatcher;
}

/** What the shard's status is made from. */
export interface IngestWatcher {
  /** The partition was read, and ends at `bound` for now. */
  read(topic: string, partition: number, bound: bigint): void;
  /** The topic is there, or a batch is committed: what is durable now. */
  committed(position: Position, batch: IngestBatch | undefined): void;
  /** Ingest has stopped for good. */
  stopped(topic: string, partition: number, fault: Fault): void;
  /** Ingest is trying again; `undefined` when that has helped. */
  troubled(topic: string, partition: number, fault: Fault | undefined): void;
}

/** Faults that no retry mends: going on would jump over records, or apply those of another topic. */
const FINAL: ReadonlySet<FaultId> = new Set([
  "log-truncated",
  "log-corrupt",
  "topic-recreated",
  "fenced",
  "data-corrupt",
  "invalid-manifest",
]);

/**
 * Moves one partition of the log into the store until `signal` aborts or a final fault stops it.
 *
 * Positions live in the store alone and move in the rows' own transaction, so there is nothing to agree on after a crash:
 * the loop asks the store where it is and goes on from there. It asks again after every failure, since a commit that
 * failed may yet have been made.
 */
export async function ingestPartition(ingest: PartitionIngest, signal: AbortSignal): Promise<void> {
  const leave = ingest.budget.join();
  try {
    await ingestUntil(ingest, signal);
  } finally {
    leave();
  }
}

async function ingestUntil(ingest: PartitionIngest, signal: AbortSignal): Promise<void> {
  const { topic, partition, watcher } = ingest;
  let failures = 0;
  /** Given to the store, and not known to be committed. */
  let pending: IngestBatch | undefined;
  while (!signal.aborted) {
    try {
      const start = await startOf(ingest);
      watcher.committed(start, pending?.to === start.position ? pending : undefined);
      pending = undefined;
      let from = start.position;
      let isBehind = false;
      for (;;) {
        signal.throwIfAborted();
        const { batch, bound, held } = await readBatch({ ...ingest, topicId: start.topicId }, from, isBehind, signal);
        try {
          watcher.read(topic, partition, bound);
          pending = batch;
          if (batch.to > batch.from) await commit(ingest, batch);
        } finally {
          held.release();
        }
        pending = undefined;
        from = batch.to;
        isBehind = from < bound;
        if (failures > 0) watcher.troubled(topic, partition, undefined);
        failures = 0;
      }
    } catch (error) {
      if (signal.aborted) return;
      const fault = faultFromUnknown(error, `ingest ${topic}/${partition} of shard ${ingest.shard}`);
      if (FINAL.has(fault.id)) return watcher.stopped(topic, partition, fault);
      watcher.troubled(topic, partition, fault);
      await backOff(ingest, failures++, signal);
    }
  }
}

function commit({ topic, partition, shard, store, watcher }: PartitionIngest, batch: IngestBatch): Promise<void> {
  const facts = { topic, shard, rows: batch.rows.length, rejects: batch.rejects.length };
  return step("node", "ingest batch", facts, async () => {
    await store.commit(batch);
    watcher.committed({ topic, topicId: batch.topicId, partition, position: batch.to }, batch);
  });
}

/** What is committed; a partition that never was begins at 0, wherever the log begins: a lost start must show. */
async function startOf({ log, store, topic, partition, partitions: declared }: PartitionIngest): Promise<Position> {
  const { id, partitions } = await log.describeTopic(topic);
  if (partitions !== declared) {
    throw new Fault(
      "invalid-manifest",
      `ingest ${topic}/${partition}: the topic has ${partitions} partitions, the manifest says ${declared}: keys have moved, ` +
        "or records are in no shard",
    );
  }
  const committed = positionIn(await store.position(), topic, partition);
  if (committed === undefined) return { topic, topicId: id, partition, position: 0n };
  if (committed.topicId !== id) {
    throw new Fault(
      "topic-recreated",
      `ingest ${topic}/${partition}: the topic's id is ${id}, the shard holds records of ${committed.topicId}`,
    );
  }
  return committed;
}

async function backOff({ limits, clock, randomness }: PartitionIngest, failures: number, signal: AbortSignal) {
  const longest = Math.min(limits.retryMaxMs, limits.retryFirstMs * 2 ** Math.min(failures, 16));
  // An aborted wait ends the loop, which looks at the signal first.
  await sleep(clock, longest * (1 - randomness.unit() / 2), signal).catch(() => {});
}
