import { Fault } from "../../src/fault/fault.ts";
import type { FetchRequest, FetchResult, Log, LogRecord, TopicDescription } from "../../src/log/log.ts";
import { type Clock, sleep, systemClock } from "../../src/process/clock.ts";

/** A log in memory that keeps the contract of `Log`, and that a test can damage. */
export class MemoryLog implements Log {
  readonly #topics = new Map<string, Topic>();
  readonly #clock: Clock;
  readonly #waiting = new Set<() => void>();
  /** Thrown by the next fetches, one each. */
  readonly failures: Fault[] = [];

  constructor(clock: Clock = systemClock) {
    this.#clock = clock;
  }

  createTopic(name: string, partitions: number, id = `id-of-${name}`): void {
    const empty = () => ({ start: 0n, next: 0n, records: [] as LogRecord[] });
    this.#topics.set(name, { name, id, partitions: Array.from({ length: partitions }, empty) });
  }

  /** `value` as JSON text, `null` a tombstone. */
  append(
    topic: string,
    partition: number,
    records: readonly { key?: string; value: string | Uint8Array | null }[],
  ): void {
    const { records: held } = this.#partition(topic, partition);
    const log = this.#partition(topic, partition);
    for (const { key, value } of records) {
      held.push({
        offset: log.next,
        timestampMs: Number(log.next),
        key: key === undefined ? null : Buffer.from(key),
        value: typeof value === "string" ? Buffer.from(value) : value,
        headers: [],
      });
      log.next += 1n;
    }
    for (const wake of this.#waiting) wake();
  }

  /** Leaves offsets out, as compaction and transaction markers do. */
  skip(topic: string, partition: number, offsets: bigint): void {
    this.#partition(topic, partition).next += offsets;
  }

  truncateBefore(topic: string, partition: number, start: bigint): void {
    const log = this.#partition(topic, partition);
    log.start = start;
    log.records = log.records.filter((record) => record.offset >= start);
  }

  async describeTopic(name: string): Promise<TopicDescription> {
    const { id, partitions } = this.#topic(name);
    return { name, id, partitions: partitions.length };
  }

  async fetch(request: FetchRequest): Promise<FetchResult> {
    request.signal.throwIfAborted();
    const failure = this.failures.shift();
    if (failure !== undefined) throw failure;
    const what = `fetch ${request.topic}/${request.partition}@${request.offset}`;
    if (this.#topic(request.topic).id !== request.topicId) throw new Fault("topic-recreated", what);
    const log = this.#partition(request.topic, request.partition);
    if (request.offset < log.start || request.offset > log.next) throw new Fault("log-truncated", what);
    if (request.offset === log.next) await this.#wait(request);
    const records: LogRecord[] = [];
    let bytes = 0;
    for (const record of log.records) {
      if (record.offset < request.offset) continue;
      if (bytes >= request.maxBytes) return { records, nextOffset: record.offset, bound: log.next };
      records.push(record);
      bytes += record.value?.byteLength ?? 0;
    }
    return { records, nextOffset: log.next, bound: log.next };
  }

  async bounds(topic: string, partition: number): Promise<{ start: bigint; bound: bigint }> {
    const { start, next } = this.#partition(topic, partition);
    return { start, bound: next };
  }

  async offsetsForTime(topic: string, timestampMs: number): Promise<readonly (bigint | undefined)[]> {
    return this.#topic(topic).partitions.map(
      ({ records }) => records.find((record) => record.timestampMs >= timestampMs)?.offset,
    );
  }

  async close(): Promise<void> {}

  async #wait({ maxWaitMs, signal }: FetchRequest): Promise<void> {
    const stop = new AbortController();
    let wake = () => {};
    const woken = new Promise<void>((resolve) => {
      wake = resolve;
    });
    this.#waiting.add(wake);
    try {
      await Promise.race([woken, sleep(this.#clock, maxWaitMs, AbortSignal.any([signal, stop.signal]))]);
    } finally {
      this.#waiting.delete(wake);
      stop.abort();
    }
  }

  #topic(name: string): Topic {
    const topic = this.#topics.get(name);
    if (topic === undefined) throw new Fault("unknown-topic", `no topic "${name}"`);
    return topic;
  }

  #partition(name: string, partition: number): Partition {
    return this.#topic(name).partitions[partition]!;
  }
}

interface Topic {
  readonly name: string;
  readonly id: string;
  readonly partitions: Partition[];
}

interface Partition {
  start: bigint;
  next: bigint;
  records: LogRecord[];
}
