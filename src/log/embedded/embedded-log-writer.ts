import assert from "node:assert/strict";
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { Fault } from "../../fault/fault.ts";
import { faultFromUnknown } from "../../fault/fault-from-unknown.ts";
import { type Randomness, systemRandomness } from "../../process/clock.ts";
import type { LogWriter, NewRecord, TopicDescription } from "../log.ts";
import { recordProblem } from "../record-limits.ts";
import { CREATING_PREFIX, checkTopicName, partitionDirectory } from "./log-paths.ts";
import { type Repair, recoverPartition } from "./partition-recovery.ts";
import { type PartitionLimits, PartitionWriter } from "./partition-writer.ts";
import { BATCH_BYTES_MAX } from "./record-batch.ts";
import { encodedBytesMax } from "./record-codec.ts";
import { createTopicFiles, isPartitionCount, PARTITIONS_MAX, readTopic } from "./topic-file.ts";
import { takeWriterLock, type WriterLock } from "./writer-lock.ts";

const SEGMENT_BYTES = 64 * 1024 * 1024;
const BATCH_BYTES = 256 * 1024;
/** A partition with this much waiting is written to its file: what bounds the memory of a writer that never flushes. */
const PENDING_BYTES_MAX = 1024 * 1024;

export interface EmbeddedLogWriterOptions extends Partial<PartitionLimits> {
  readonly randomness?: Randomness;
}

export interface EmbeddedLogWriter extends LogWriter {
  /** Torn tails that opening cut off. Nothing in them had been acknowledged. */
  readonly repairs: readonly Repair[];
}

/**
 * Opens the log in `directory` for writing, creating it when there is none, and checks every batch of it.
 * Faults: `store-locked` (another process writes), `log-corrupt`.
 */
export async function openEmbeddedLogWriter(
  directory: string,
  options: EmbeddedLogWriterOptions = {},
): Promise<EmbeddedLogWriter> {
  const { segmentBytes = SEGMENT_BYTES, batchBytes = BATCH_BYTES, randomness = systemRandomness } = options;
  assert(batchBytes > 0 && batchBytes <= BATCH_BYTES_MAX, `batchBytes is 1 to ${BATCH_BYTES_MAX}, not ${batchBytes}`);
  const lock = await takeWriterLock(directory, randomness);
  try {
    const limits = { segmentBytes, batchBytes };
    const { topics, repairs } = await openTopics(directory, limits);
    const writer = new FileLogWriter({ directory, limits, randomness, lock, topics, repairs });
    try {
      // Whole batches above the bound were on their way when the last writer died: they are made durable and shown.
      await writer.flush();
      return writer;
    } catch (error) {
      await writer.close();
      throw error;
    }
  } catch (error) {
    await lock.release();
    throw faultFromUnknown(error, `open log ${directory}`);
  }
}

interface OpenTopic {
  readonly description: TopicDescription;
  readonly partitions: readonly PartitionWriter[];
}

async function openTopics(directory: string, limits: PartitionLimits) {
  const topics = new Map<string, OpenTopic>();
  const repairs: Repair[] = [];
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    if (!entry.isDirectory()) continue;
    if (entry.name.startsWith(CREATING_PREFIX)) {
      await rm(join(directory, entry.name), { recursive: true, force: true });
      continue;
    }
    const description = await readTopic(directory, entry.name);
    if (description === undefined) continue;
    const opened = await openTopic(directory, description, limits);
    repairs.push(...opened.repairs);
    topics.set(entry.name, opened.topic);
  }
  return { topics, repairs };
}

async function openTopic(directory: string, description: TopicDescription, limits: PartitionLimits) {
  const partitions: PartitionWriter[] = [];
  const repairs: Repair[] = [];
  for (let partition = 0; partition < description.partitions; partition++) {
    const path = partitionDirectory(directory, description.name, partition);
    const recovered = await recoverPartition(path);
    if (recovered.repair !== undefined) repairs.push(recovered.repair);
    partitions.push(new PartitionWriter(path, limits, recovered));
  }
  return { topic: { description, partitions }, repairs };
}

interface WriterParts {
  readonly directory: string;
  readonly limits: PartitionLimits;
  readonly randomness: Randomness;
  readonly lock: WriterLock;
  readonly topics: Map<string, OpenTopic>;
  readonly repairs: readonly Repair[];
}

class FileLogWriter implements EmbeddedLogWriter {
  readonly #parts: WriterParts;
  /** Work on files, one after the other. */
  #turn: Promise<void> = Promise.resolve();
  /** After a failed write nobody knows what the file holds; the next open finds out. Until then all is refused. */
  #failure: Fault | undefined;
  #isClosed = false;

  constructor(parts: WriterParts) {
    this.#parts = parts;
  }

  get repairs(): readonly Repair[] {
    return this.#parts.repairs;
  }

  async createTopic(topic: string, partitions: number): Promise<TopicDescription> {
    checkTopicName(topic);
    if (!isPartitionCount(partitions)) {
      throw new Fault(
        "invalid-request",
        `create topic "${topic}": partitions is 1 to ${PARTITIONS_MAX}, not ${partitions}`,
      );
    }
    return this.#inTurn(`create topic "${topic}"`, async () => {
      const existing = this.#parts.topics.get(topic)?.description;
      if (existing !== undefined) return sameTopic(existing, partitions);
      const description = { name: topic, id: this.#parts.randomness.id(), partitions };
      await createTopicFiles(this.#parts.directory, description);
      const opened = await openTopic(this.#parts.directory, description, this.#parts.limits);
      this.#parts.topics.set(topic, opened.topic);
      return description;
    });
  }

  async append(topic: string, partition: number, records: readonly NewRecord[]): Promise<bigint> {
    const attempted = `append to ${topic}/${partition}`;
    this.#checkUsable(attempted);
    const opened = this.#parts.topics.get(topic);
    if (opened === undefined) throw new Fault("unknown-topic", `${attempted}: no such topic`);
    const target = opened.partitions[partition];
    if (target === undefined) {
      throw new Fault("invalid-request", `${attempted}: the topic has ${opened.description.partitions} partitions`);
    }
    // All are checked before one is taken.
    for (const [i, record] of records.entries()) checkRecord(record, attempted, i);
    const first = target.add(records);
    if (target.pendingBytes >= PENDING_BYTES_MAX) await this.#inTurn(attempted, () => target.writeOut());
    return first;
  }

  flush(): Promise<void> {
    return this.#inTurn("flush log", async () => {
      const dirty = this.#everyPartition().filter((partition) => partition.isDirty);
      if (dirty.length === 0) return;
      for (const partition of dirty) await partition.writeOut();
      await Promise.all(dirty.map((partition) => partition.sync()));
      await this.#parts.lock.stillHeld();
      await Promise.all(dirty.map((partition) => partition.publish()));
    });
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    try {
      if (this.#failure === undefined) await this.flush();
    } finally {
      this.#isClosed = true;
      for (const partition of this.#everyPartition()) await partition.close();
      await this.#parts.lock.release();
    }
  }

  #everyPartition(): PartitionWriter[] {
    return [...this.#parts.topics.values()].flatMap((topic) => topic.partitions);
  }

  #inTurn<T>(attempted: string, work: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(async () => {
      this.#checkUsable(attempted);
      try {
        return await work();
      } catch (error) {
        const fault = faultFromUnknown(error, attempted);
        if (fault.id !== "invalid-request") this.#failure = fault;
        throw fault;
      }
    });
    this.#turn = result.then(
      () => {},
      () => {},
    );
    return result;
  }

  #checkUsable(attempted: string): void {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#isClosed) throw new Fault("cancelled", `${attempted}: the log writer is closed`);
  }
}

function sameTopic(existing: TopicDescription, partitions: number): TopicDescription {
  if (existing.partitions === partitions) return existing;
  const { name } = existing;
  const difference = `it exists with ${existing.partitions} partitions, not ${partitions}`;
  throw new Fault("invalid-request", `create topic "${name}": ${difference}`);
}

function checkRecord(record: NewRecord, attempted: string, index: number): void {
  const problem = recordProblem(record.timestampMs, encodedBytesMax(record));
  if (problem !== undefined) throw new Fault("invalid-request", `${attempted}: record ${index}: ${problem}`);
}
