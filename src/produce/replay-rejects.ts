import { Fault } from "../fault/fault.ts";
import type { Log, LogWriter, NewRecord, TopicDescription } from "../log/log.ts";

/** A record that was a reject, mended or as it was. */
export interface ReplayedRecord {
  readonly topic: string;
  readonly partition: number;
  /** Of the record that was the reject. */
  readonly offset: bigint;
  readonly timestampMs: number;
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
}

export interface ReplayOutcome {
  readonly appended: number;
  /** Replayed already by an earlier run. */
  readonly passed: number;
}

/** The header of a record that stands in for a reject: `<topic id>/<partition>/<offset>`. */
export const REPLAY_HEADER = "skynetes-replay-of";

const FETCH_BYTES = 1024 * 1024;

/**
 * Appends rejects again, each to its own partition, since its key is what put it there. The record that was rejected stays:
 * what a shard holds follows from the log, so only another record can mend it. Each says which one it stands in for, and
 * one that the partition holds already is passed over, so that a replay that was cut short is run again. Not beside
 * another replay. Faults: those of the log; `invalid-request` when the topic has no such record.
 */
export async function replayRejects(
  { log, writer, signal }: { readonly log: Log; readonly writer: LogWriter; readonly signal: AbortSignal },
  records: readonly ReplayedRecord[],
): Promise<ReplayOutcome> {
  let appended = 0;
  const partitions = Map.groupBy(records, ({ topic, partition }) => `${topic}/${partition}`);
  for (const [where, replayed] of partitions) {
    const { topic: name, partition } = replayed[0]!;
    const topic = await log.describeTopic(name);
    const { bound } = await log.bounds(name, partition);
    const beyond = replayed.find(({ offset }) => offset < 0n || offset >= bound);
    if (beyond !== undefined) {
      throw new Fault("invalid-request", `replay ${where}@${beyond.offset}: the partition ends at ${bound}`);
    }
    const first = replayed.reduce((least, { offset }) => (offset < least ? offset : least), bound);
    const done = await replaysIn(log, topic, { partition, from: first + 1n, bound, signal });
    const missing = new Map(replayed.map((record) => [placeOf(topic, record), record]));
    for (const place of done) missing.delete(place);
    if (missing.size === 0) continue;
    const fresh = [...missing].map(([place, record]): NewRecord => {
      const { timestampMs, key, value } = record;
      return { timestampMs, key, value, headers: [[REPLAY_HEADER, Buffer.from(place)]] };
    });
    await writer.append(name, partition, fresh);
    appended += fresh.length;
  }
  await writer.flush();
  return { appended, passed: records.length - appended };
}

function placeOf({ id }: TopicDescription, { partition, offset }: ReplayedRecord): string {
  return `${id}/${partition}/${offset}`;
}

/** Places that records from `from` on stand in for. */
async function replaysIn(
  log: Log,
  topic: TopicDescription,
  range: { readonly partition: number; readonly from: bigint; readonly bound: bigint; readonly signal: AbortSignal },
): Promise<Set<string>> {
  const { partition, bound, signal } = range;
  const places = new Set<string>();
  for (let offset = range.from; offset < bound; ) {
    const request = { topic: topic.name, topicId: topic.id, partition, offset, signal };
    const fetched = await log.fetch({ ...request, maxBytes: FETCH_BYTES, maxWaitMs: 0 });
    for (const { headers } of fetched.records) {
      for (const [name, place] of headers) if (name === REPLAY_HEADER) places.add(Buffer.from(place).toString());
    }
    if (fetched.nextOffset <= offset) break;
    offset = fetched.nextOffset;
  }
  return places;
}
