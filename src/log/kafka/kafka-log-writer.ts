import { Fault } from "../../fault/fault.ts";
import { faultFromUnknown } from "../../fault/fault-from-unknown.ts";
import { type Clock, systemClock } from "../../process/clock.ts";
import type { LogWriter, NewRecord, NewTopic, TopicDescription } from "../log.ts";
import { recordProblem } from "../record-limits.ts";
import { createKafkaTopic } from "./create-topic.ts";
import { IdempotentProducer } from "./idempotent-producer.ts";
import { KafkaCluster } from "./kafka-cluster.ts";
import type { KafkaConfig } from "./kafka-config.ts";
import { LATEST, listOffset } from "./list-offset.ts";

/** A batch is about as large at most, unless one record is larger: half of what brokers take by default. */
const BATCH_BYTES = 512 * 1024;
const RECORD_OVERHEAD_BYTES = 64;

/**
 * A Kafka cluster for writing, as an idempotent producer that waits for all replicas: what was appended is there once, in
 * order, whatever happened on the way, or the writer fails and stays failed, like that of the embedded log: then only
 * the log knows how far it came.
 */
export function openKafkaLogWriter(config: KafkaConfig, options: { readonly clock?: Clock } = {}): LogWriter {
  return new ClusterLogWriter(new KafkaCluster(config, options.clock ?? systemClock));
}

class ClusterLogWriter implements LogWriter {
  readonly #cluster: KafkaCluster;
  readonly #producer: IdempotentProducer;
  /** By topic and partition: the append that comes next waits for it. */
  readonly #last = new Map<string, Promise<unknown>>();
  #failure: Fault | undefined;

  constructor(cluster: KafkaCluster) {
    this.#cluster = cluster;
    this.#producer = new IdempotentProducer(cluster);
  }

  async createTopic(topic: string, partitions: number, how: NewTopic = {}): Promise<TopicDescription> {
    return createKafkaTopic(this.#cluster, { name: topic, partitions, how });
  }

  async append(topic: string, partition: number, records: readonly NewRecord[]): Promise<bigint> {
    const attempted = `append ${records.length} records to ${topic}/${partition}`;
    if (this.#failure !== undefined) throw this.#failure;
    for (const [i, record] of records.entries()) {
      const problem = recordProblem(record.timestampMs, bytesOf(record));
      if (problem !== undefined) throw new Fault("invalid-request", `${attempted}: record ${i}: ${problem}`);
    }
    const place = `${topic}/${partition}`;
    const before = this.#last.get(place) ?? Promise.resolve();
    const sent = before.then(() => this.#send(topic, partition, records, attempted));
    const settled = sent.catch(() => {});
    this.#last.set(place, settled);
    settled.then(() => {
      if (this.#last.get(place) === settled) this.#last.delete(place);
    });
    return sent;
  }

  /** Appends are durable when they return; this waits for those that have not. */
  async flush(): Promise<void> {
    await Promise.all(this.#last.values());
    if (this.#failure !== undefined) throw this.#failure;
  }

  async close(): Promise<void> {
    await Promise.all(this.#last.values());
    this.#cluster.close();
  }

  async #send(topic: string, partition: number, records: readonly NewRecord[], attempted: string): Promise<bigint> {
    if (this.#failure !== undefined) throw this.#failure;
    let first: bigint | undefined;
    try {
      for (const batch of batchesOf(records)) {
        const offset = await this.#producer.send({ topic, partition, records: batch, attempted });
        first ??= offset;
      }
      return first ?? (await this.#end(topic, partition));
    } catch (error) {
      const fault = faultFromUnknown(error, attempted);
      // Nothing of a refused first batch is in the log, so that the next append is as good as this one was.
      const isRefused = first === undefined && (fault.id === "unknown-topic" || fault.id === "invalid-request");
      if (!isRefused) this.#failure = fault;
      throw fault;
    }
  }

  async #end(topic: string, partition: number): Promise<bigint> {
    const attempted = `append nothing to ${topic}/${partition}`;
    return (await listOffset(this.#cluster, { topic, partition, timestamp: LATEST, attempted })) ?? 0n;
  }
}

function* batchesOf(records: readonly NewRecord[]): Generator<readonly NewRecord[]> {
  let from = 0;
  let bytes = 0;
  for (const [i, record] of records.entries()) {
    const size = bytesOf(record);
    if (i > from && bytes + size > BATCH_BYTES) {
      yield records.slice(from, i);
      from = i;
      bytes = 0;
    }
    bytes += size;
  }
  if (from < records.length) yield from === 0 ? records : records.slice(from);
}

function bytesOf({ key, value, headers }: NewRecord): number {
  let bytes = RECORD_OVERHEAD_BYTES + (key?.length ?? 0) + (value?.length ?? 0);
  for (const [name, header] of headers) bytes += RECORD_OVERHEAD_BYTES + name.length + header.length;
  return bytes;
}
