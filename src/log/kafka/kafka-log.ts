import { Fault } from "../../fault/fault.ts";
import { type Clock, systemClock } from "../../process/clock.ts";
import type { FetchRequest, FetchResult, Log, TopicDescription } from "../log.ts";
import { committedRecords } from "./committed-records.ts";
import { type FetchedBytes, fetchPartition } from "./fetch-partition.ts";
import { KafkaCluster, type PartitionAnswer } from "./kafka-cluster.ts";
import type { KafkaConfig } from "./kafka-config.ts";
import { faultOfClient, faultOfCode, KAFKA_ERROR } from "./kafka-fault.ts";
import { EARLIEST, LATEST, listOffset } from "./list-offset.ts";
import { BatchDamage } from "./record-batch.ts";
import { timestampTypeOf } from "./topic-configuration.ts";

/** A fetch returns about this much at most, whatever was asked: its records are decoded in one turn of the loop. */
const FETCH_BYTES_MAX = 8 * 1024 * 1024;
/** One wait at the broker; a longer one is several. So a broker that is gone is noticed in time. */
const WAIT_MAX_MS = 20_000;

export interface KafkaLog extends Log {
  /** Who sets the timestamps of a topic's records: its producers, or the broker when it appends them. */
  timestampType(topic: string): Promise<"CreateTime" | "LogAppendTime">;
}

/**
 * A Kafka cluster for reading: no group, no session, positions are the reader's own. Connects when it is first asked.
 */
export function openKafkaLog(config: KafkaConfig, options: { readonly clock?: Clock } = {}): KafkaLog {
  return new ClusterLog(new KafkaCluster(config, options.clock ?? systemClock));
}

class ClusterLog implements KafkaLog {
  readonly #cluster: KafkaCluster;

  constructor(cluster: KafkaCluster) {
    this.#cluster = cluster;
  }

  async describeTopic(topic: string): Promise<TopicDescription> {
    const { name, id, partitions } = await this.#cluster.refresh(topic, `describe topic "${topic}"`);
    return { name, id, partitions };
  }

  async fetch(request: FetchRequest): Promise<FetchResult> {
    const { topic, partition, signal } = request;
    const attempted = `fetch ${topic}/${partition} from offset ${request.offset}`;
    const { clock } = this.#cluster;
    const deadline = clock.monotonic() + request.maxWaitMs;
    let offset = request.offset;
    let damages = 0;
    for (;;) {
      if (signal.aborted) throw faultOfClient(signal.reason ?? new DOMException("", "AbortError"), attempted);
      await this.#checkId(request, attempted);
      const leftMs = Math.min(Math.max(deadline - clock.monotonic(), 0), WAIT_MAX_MS);
      const fetched = await this.#ask(request, { offset, waitMs: Math.ceil(leftMs), attempted });
      try {
        const { records, nextOffset } = committedRecords(fetched.batches, fetched.aborted, offset);
        const bound = nextOffset > fetched.stable ? nextOffset : fetched.stable;
        const isOver = nextOffset >= fetched.stable && (nextOffset > request.offset || clock.monotonic() >= deadline);
        if (records.length > 0 || isOver) return { records, nextOffset, bound };
        offset = nextOffset;
      } catch (error) {
        if (!(error instanceof BatchDamage)) throw error;
        // It may have been damaged on its way: what is on the broker's disk is damaged the same way twice.
        damages += 1;
        if (damages > 1) throw new Fault("log-corrupt", `${attempted}: ${error.message}`, {}, error);
      }
    }
  }

  async bounds(topic: string, partition: number): Promise<{ readonly start: bigint; readonly bound: bigint }> {
    const attempted = `bounds of ${topic}/${partition}`;
    const start = await listOffset(this.#cluster, { topic, partition, timestamp: EARLIEST, attempted });
    const bound = await listOffset(this.#cluster, { topic, partition, timestamp: LATEST, attempted });
    return { start: start ?? 0n, bound: bound ?? 0n };
  }

  async offsetsForTime(topic: string, timestampMs: number): Promise<readonly (bigint | undefined)[]> {
    const attempted = `offsets of "${topic}" at ${timestampMs} ms`;
    const { partitions } = await this.#cluster.refresh(topic, attempted);
    const timestamp = BigInt(Math.max(0, Math.ceil(timestampMs)));
    return Promise.all(
      Array.from({ length: partitions }, (_, partition) =>
        listOffset(this.#cluster, { topic, partition, timestamp, attempted }),
      ),
    );
  }

  timestampType(topic: string): Promise<"CreateTime" | "LogAppendTime"> {
    return timestampTypeOf(this.#cluster, topic);
  }

  async close(): Promise<void> {
    this.#cluster.close();
  }

  /** The id that is known costs nothing; the cluster is asked before a topic is called another one. */
  async #checkId({ topic, topicId }: FetchRequest, attempted: string): Promise<void> {
    if ((await this.#cluster.topic(topic, attempted)).id === topicId) return;
    const { id } = await this.#cluster.refresh(topic, attempted);
    if (id !== topicId) {
      throw new Fault("topic-recreated", `${attempted}: the topic was made anew: its id is ${id}, not ${topicId}`);
    }
  }

  async #ask(
    request: FetchRequest,
    { offset, waitMs, attempted }: { readonly offset: bigint; readonly waitMs: number; readonly attempted: string },
  ): Promise<FetchedBytes> {
    const { topic, partition, topicId, signal } = request;
    const maxBytes = Math.min(Math.max(request.maxBytes, 1), FETCH_BYTES_MAX);
    const answer = await this.#cluster.askLeader<FetchedBytes>(
      { topic, partition, attempted, ms: waitMs, signal },
      (lent, known): Promise<PartitionAnswer<FetchedBytes>> => {
        // The broker is asked by id: what another topic of the name holds can never come back.
        if (known.id !== topicId) return Promise.reject(recreated(known.id, topicId, attempted));
        return fetchPartition(lent, { topicId, partition, offset, maxBytes, maxWaitMs: waitMs });
      },
    );
    if (answer.code === KAFKA_ERROR.offsetOutOfRange) {
      const { start, bound } = await this.bounds(topic, partition);
      throw new Fault("log-truncated", `${attempted}: it holds offsets ${start} to ${bound}`);
    }
    if (answer.value === undefined) throw faultOfCode(answer.code, attempted);
    return answer.value;
  }
}

function recreated(id: string, topicId: string, attempted: string): Fault {
  return new Fault("topic-recreated", `${attempted}: the topic was made anew: its id is ${id}, not ${topicId}`);
}
