import { Fault } from "../fault/fault.ts";
import type { Log, LogRecord, NewRecord, TopicDescription } from "../log/log.ts";

const LAST_RECORD_BYTES = 64 * 1024;

/**
 * What a load that is resumed finds in the topic. The records of a partition are a function of the file, so the first
 * `count` of them are there already and are passed over. That it is the same file is checked where it costs nothing: the
 * last record held must be the one that the file has in that place.
 */
export class HeldRecords {
  readonly #topic: string;
  readonly #last: readonly (LogRecord | undefined)[];
  readonly #left: number[];

  private constructor(topic: string, left: number[], last: readonly (LogRecord | undefined)[]) {
    this.#topic = topic;
    this.#left = left;
    this.#last = last;
  }

  static none(topic: TopicDescription): HeldRecords {
    return new HeldRecords(topic.name, new Array(topic.partitions).fill(0), []);
  }

  static async read(log: Log, topic: TopicDescription, signal: AbortSignal): Promise<HeldRecords> {
    const left: number[] = [];
    const last: (LogRecord | undefined)[] = [];
    for (let partition = 0; partition < topic.partitions; partition++) {
      const { start, bound } = await log.bounds(topic.name, partition);
      if (start !== 0n) {
        const gone = `partition ${partition} begins at offset ${start}`;
        throw new Fault("log-truncated", `resume loading "${topic.name}": ${gone}: what was loaded cannot be counted`);
      }
      left.push(Number(bound));
      last.push(bound === 0n ? undefined : await lastRecord(log, topic, { partition, offset: bound - 1n, signal }));
    }
    return new HeldRecords(topic.name, left, last);
  }

  /** True when the partition holds this record, the next of the file that belongs there. Fault `invalid-request`. */
  pass(partition: number, record: NewRecord): boolean {
    const left = this.#left[partition]!;
    if (left === 0) return false;
    if (left === 1 && !isSame(this.#last[partition], record)) throw this.#other(partition);
    this.#left[partition] = left - 1;
    return true;
  }

  /** After the whole file: nothing held may be left over. Fault `invalid-request`. */
  checkAllPassed(): void {
    const partition = this.#left.findIndex((left) => left > 0);
    if (partition >= 0) throw this.#other(partition);
  }

  #other(partition: number): Fault {
    const what = `partition ${partition} holds records that are not the first ones of this file`;
    return new Fault("invalid-request", `resume loading "${this.#topic}": ${what}`);
  }
}

async function lastRecord(
  log: Log,
  topic: TopicDescription,
  place: { readonly partition: number; readonly offset: bigint; readonly signal: AbortSignal },
): Promise<LogRecord | undefined> {
  const request = { topic: topic.name, topicId: topic.id, maxBytes: LAST_RECORD_BYTES, maxWaitMs: 0, ...place };
  return (await log.fetch(request)).records[0];
}

/** Timestamps are left out: they may be the time of loading. */
function isSame(held: LogRecord | undefined, record: NewRecord): boolean {
  // In Kafka the last offset may be no record's: then offsets do not count records, and there is no way to go on.
  return held !== undefined && isSameBytes(held.key, record.key) && isSameBytes(held.value, record.value);
}

function isSameBytes(a: Uint8Array | null, b: Uint8Array | null): boolean {
  return a === null || b === null ? a === b : Buffer.compare(a, b) === 0;
}
