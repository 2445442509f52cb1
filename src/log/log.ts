/**
 * The log that shards are built from: topics of partitions of records with offsets. Two implementations keep this
 * contract, an embedded file log and Kafka; one acceptance suite runs against both.
 */
export interface Log {
  /** Fault `unknown-topic`. */
  describeTopic(topic: string): Promise<TopicDescription>;
  /**
   * Records from `offset` on, in order, at least one if there is any, about `maxBytes` of them. With none there, waits
   * up to `maxWaitMs` for one. Offsets may have gaps, so the next offset to ask for is `nextOffset`, never a count.
   * Faults: `unknown-topic`, `topic-recreated` (other id), `log-truncated` (offset below the start, or beyond the end),
   * `log-corrupt`.
   */
  fetch(request: FetchRequest): Promise<FetchResult>;
  /** Start and bound of a partition: records with start ≤ offset < bound can be fetched now. */
  bounds(topic: string, partition: number): Promise<{ readonly start: bigint; readonly bound: bigint }>;
  /**
   * For every partition, the first offset whose record has a timestamp ≥ `timestampMs`, or `undefined` when the
   * partition has not passed that time. Exact only where timestamps do not decrease.
   */
  offsetsForTime(topic: string, timestampMs: number): Promise<readonly (bigint | undefined)[]>;
  close(): Promise<void>;
}

export interface TopicDescription {
  readonly name: string;
  readonly id: string;
  readonly partitions: number;
}

export interface LogRecord {
  readonly offset: bigint;
  /** Milliseconds since the Unix epoch. */
  readonly timestampMs: number;
  readonly key: Uint8Array | null;
  /** `null` is a tombstone. */
  readonly value: Uint8Array | null;
  readonly headers: readonly (readonly [name: string, value: Uint8Array])[];
}

export interface FetchRequest {
  readonly topic: string;
  readonly topicId: string;
  readonly partition: number;
  readonly offset: bigint;
  readonly maxBytes: number;
  readonly maxWaitMs: number;
  readonly signal: AbortSignal;
}

export interface FetchResult {
  readonly records: readonly LogRecord[];
  readonly nextOffset: bigint;
  /** End of what could be fetched when this was: the bound a cut may name. */
  readonly bound: bigint;
}

/** The side that producers use. One writer process at a time. */
export interface LogWriter {
  /** Creates the topic, or returns the one there is. Fault `invalid-request` when its partition count differs. */
  createTopic(topic: string, partitions: number, how?: NewTopic): Promise<TopicDescription>;
  /** Appends in order and returns the offset of the first; durable after `flush`. */
  append(topic: string, partition: number, records: readonly NewRecord[]): Promise<bigint>;
  /** Returns when all that was appended is on disk. */
  flush(): Promise<void>;
  close(): Promise<void>;
}

export interface NewTopic {
  /**
   * Who sets the records' timestamps: whoever appends them, which is the default, or the log's own clock, so that they
   * never decrease. A log without a clock of its own leaves it to who appends.
   */
  readonly timestamps?: "records" | "log";
}

export type NewRecord = Omit<LogRecord, "offset">;
