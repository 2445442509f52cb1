import { Fault } from "../../fault/fault.ts";
import { type Clock, sleep } from "../../process/clock.ts";
import type { TopicDescription } from "../log.ts";
import type { KafkaConfig } from "./kafka-config.ts";
import { KafkaConnections, type Lent, REQUEST_GRACE_MS } from "./kafka-connections.ts";
import { codeOf, faultOfClient, faultOfCode, isStaleLeader, KAFKA_ERROR } from "./kafka-fault.ts";

const METADATA_MS = 10_000;
/** While a partition moves to another leader: tries, and the wait before the n-th in milliseconds for each. */
const LEADER_TRIES = 5;
const LEADER_WAIT_MS = 50;

/** A topic as the cluster said last, with the broker that leads each partition (`undefined`: none for now). */
export interface KafkaTopic extends TopicDescription {
  readonly leaders: readonly (string | undefined)[];
}

/** One answer of a broker about a partition: a result, or a code of the protocol. */
export type PartitionAnswer<T> =
  | { readonly code: 0; readonly value: T }
  | { readonly code: number; readonly value?: never };

/** Which topics a cluster has and who leads their partitions. */
export class KafkaCluster {
  readonly connections: KafkaConnections;
  readonly clock: Clock;
  readonly #topics = new Map<string, KafkaTopic>();

  constructor(config: KafkaConfig, clock: Clock) {
    this.connections = new KafkaConnections(config, clock);
    this.clock = clock;
  }

  /** Asks the cluster. Faults: `unknown-topic`, `log-unavailable`, `permission-denied`. */
  async refresh(name: string, attempted: string): Promise<KafkaTopic> {
    const found = await this.connections.useAny({ attempted, ms: METADATA_MS }, async ({ connection, apis }) => {
      try {
        return await apis.metadata.async(connection, [name], false, false);
      } catch (error) {
        // An answer with an error code is an answer: the connection is as good as before.
        const code = codeOf(error);
        if (code === undefined) throw error;
        return code;
      }
    });
    if (typeof found === "number") {
      this.#topics.delete(name);
      if (found === KAFKA_ERROR.unknownTopicOrPartition || found === 17) {
        throw new Fault("unknown-topic", `${attempted}: no such topic`);
      }
      throw faultOfCode(found, attempted);
    }
    const topic = found.topics.find((one) => one.name === name);
    if (topic === undefined) throw new Fault("unknown-topic", `${attempted}: no such topic`);
    const addresses = new Map(found.brokers.map(({ nodeId, host, port }) => [nodeId, `${host}:${port}`]));
    const leaders: (string | undefined)[] = new Array(topic.partitions.length).fill(undefined);
    for (const { partitionIndex, leaderId } of topic.partitions) leaders[partitionIndex] = addresses.get(leaderId);
    const known = { name, id: topic.topicId, partitions: topic.partitions.length, leaders };
    this.#topics.set(name, known);
    return known;
  }

  /** As last heard, or asked now. */
  async topic(name: string, attempted: string): Promise<KafkaTopic> {
    return this.#topics.get(name) ?? (await this.refresh(name, attempted));
  }

  /**
   * Asks the leader of a partition, and asks again with fresh metadata while the leader has moved. Returns the first
   * answer that is not about leaders; `topic-recreated` and the like are for the caller to tell from `topic`.
   */
  async askLeader<T>(
    request: {
      readonly topic: string;
      readonly partition: number;
      readonly attempted: string;
      /** What the broker is asked to take at most. */
      readonly ms: number;
      readonly signal?: AbortSignal | undefined;
    },
    ask: (lent: Lent, topic: KafkaTopic) => Promise<PartitionAnswer<T>>,
  ): Promise<PartitionAnswer<T>> {
    const { topic: name, partition, attempted, signal } = request;
    let topic = await this.topic(name, attempted);
    for (let tries = 1; ; tries++) {
      if (!Number.isInteger(partition) || partition < 0 || partition >= topic.partitions) {
        throw new Fault("invalid-request", `${attempted}: the topic has ${topic.partitions} partitions`);
      }
      const leader = topic.leaders[partition];
      if (leader !== undefined) {
        const current = topic;
        const bounds = { attempted, ms: request.ms + REQUEST_GRACE_MS, signal };
        const answer = await this.connections
          .use(leader, bounds, (lent) => ask(lent, current))
          .catch((error: unknown) => {
            // Whoever comes next asks who leads now.
            this.#topics.delete(name);
            throw error;
          });
        if (!isStaleLeader(answer.code)) return answer;
        if (tries === LEADER_TRIES) throw faultOfCode(answer.code, attempted);
      } else if (tries === LEADER_TRIES) {
        throw new Fault("log-unavailable", `${attempted}: no broker leads the partition`);
      }
      topic = await this.refresh(name, attempted);
      await sleep(this.clock, LEADER_WAIT_MS * tries, signal).catch((error: unknown) => {
        throw faultOfClient(error, attempted);
      });
    }
  }

  close(): void {
    this.connections.close();
  }
}
