import { Fault } from "../../fault/fault.ts";
import { sleep } from "../../process/clock.ts";
import type { NewRecord } from "../log.ts";
import { encodeBatch } from "./encode-batch.ts";
import type { KafkaCluster } from "./kafka-cluster.ts";
import { faultOfCode } from "./kafka-fault.ts";
import { produceBatch } from "./produce-batch.ts";

const BROKER_MS = 15_000;
/** How long one batch is tried again before the writer gives up: a broker's restart fits well in. */
const DELIVER_WITHIN_MS = 120_000;
const RETRY_FIRST_MS = 50;
const RETRY_MAX_MS = 2_000;

export interface ProducerBatch {
  readonly topic: string;
  readonly partition: number;
  readonly records: readonly NewRecord[];
  readonly attempted: string;
}

/**
 * Appends batches, each exactly once. A batch has its producer's id and a sequence number in its partition, so that a
 * broker knows one that it has already when an answer was lost and it comes again. It comes again unchanged, until it is
 * acknowledged: the client's own producer takes a new id when a broker does not know the old one, and a batch that was
 * written before would be written twice. One batch of a partition is under way at a time: callers wait.
 */
export class IdempotentProducer {
  readonly #cluster: KafkaCluster;
  readonly #sequences = new Map<string, number>();
  #identity: Promise<{ readonly producerId: bigint; readonly producerEpoch: number }> | undefined;

  constructor(cluster: KafkaCluster) {
    this.#cluster = cluster;
  }

  /**
   * Returns the offset of the first record when all replicas have the batch. Faults: those of the cluster for what it
   * refuses; `fenced`: it has lost what it acknowledged before; `log-unavailable` after two minutes.
   */
  async send(batch: ProducerBatch): Promise<bigint> {
    const { topic, partition, records } = batch;
    const { clock } = this.#cluster;
    const place = `${topic}:${partition}`;
    const sequence = this.#sequences.get(place) ?? 0;
    const until = clock.monotonic() + DELIVER_WITHIN_MS;
    for (let tries = 0; ; tries++) {
      try {
        const offset = await this.#try(batch, sequence);
        // Sequence numbers begin anew after 2^31 - 1, as Kafka's do.
        this.#sequences.set(place, (sequence + records.length) % 2 ** 31);
        return offset;
      } catch (error) {
        const isOver = !(error instanceof Fault) || error.id !== "log-unavailable" || clock.monotonic() >= until;
        if (isOver || this.#cluster.connections.closed) throw error;
      }
      await sleep(clock, Math.min(RETRY_MAX_MS, RETRY_FIRST_MS * 2 ** Math.min(tries, 10)));
    }
  }

  async #try({ topic, partition, records, attempted }: ProducerBatch, sequence: number): Promise<bigint> {
    const { producerId, producerEpoch } = await this.#identified(attempted);
    const encoded = encodeBatch(records, { producerId, producerEpoch, sequence });
    const answer = await this.#cluster.askLeader<bigint>({ topic, partition, attempted, ms: BROKER_MS }, (lent) =>
      produceBatch(lent, { topic, partition, batch: encoded, brokerMs: BROKER_MS }),
    );
    if (answer.value === undefined) throw faultOfCode(answer.code, attempted);
    return answer.value;
  }

  async #identified(attempted: string): Promise<{ readonly producerId: bigint; readonly producerEpoch: number }> {
    this.#identity ??= this.#cluster.connections.useAny({ attempted, ms: BROKER_MS }, ({ connection, apis }) =>
      apis.initProducerId.async(connection, null, BROKER_MS, -1n, -1),
    );
    try {
      return await this.#identity;
    } catch (error) {
      this.#identity = undefined;
      throw error;
    }
  }
}
