import { stat } from "node:fs/promises";
import { join } from "node:path";
import { Fault } from "../../fault/fault.ts";
import { faultFromUnknown } from "../../fault/fault-from-unknown.ts";
import { type Clock, systemClock } from "../../process/clock.ts";
import type { FetchRequest, FetchResult, Log, TopicDescription } from "../log.ts";
import { isTopicName, partitionDirectory, TOPIC_FILE } from "./log-paths.ts";
import { PartitionReader } from "./partition-reader.ts";
import { readTopic } from "./topic-file.ts";

/** A fetch returns about this much at most, whatever was asked: its records are decoded in one turn of the loop. */
const FETCH_BYTES_MAX = 8 * 1024 * 1024;

/** Opens the log in `directory` for reading. Any number of processes may, while one writes. */
export function openEmbeddedLog(directory: string, options: { readonly clock?: Clock } = {}): Log {
  return new FileLog(directory, options.clock ?? systemClock);
}

interface OpenTopic {
  readonly description: TopicDescription;
  /** Of the topic's file: a topic made anew has another. */
  readonly identity: string;
  readonly partitions: (PartitionReader | undefined)[];
}

class FileLog implements Log {
  readonly #directory: string;
  readonly #clock: Clock;
  /** No more than there are topics. */
  readonly #topics = new Map<string, OpenTopic>();
  readonly #closing = new AbortController();

  constructor(directory: string, clock: Clock) {
    this.#directory = directory;
    this.#clock = clock;
  }

  async describeTopic(topic: string): Promise<TopicDescription> {
    const attempted = `describe topic "${topic}"`;
    return this.#attempt(attempted, async () => (await this.#topic(topic, attempted)).description);
  }

  async fetch(request: FetchRequest): Promise<FetchResult> {
    const { topic, partition, offset, signal } = request;
    const attempted = `fetch ${topic}/${partition} from offset ${offset}`;
    return this.#attempt(attempted, async () => {
      const deadline = this.#clock.monotonic() + request.maxWaitMs;
      const bytes = Math.min(Math.max(request.maxBytes, 1), FETCH_BYTES_MAX);
      for (;;) {
        if (signal.aborted) throw cancelled(signal, attempted);
        const opened = await this.#topic(topic, attempted);
        if (opened.description.id !== request.topicId) throw recreated(opened, request, attempted);
        const reader = this.#partition(opened, partition, attempted);
        const seen = reader.watch.changes;
        const bound = await reader.bound();
        if (offset < bound.start || offset > bound.bound) {
          throw new Fault("log-truncated", `${attempted}: it holds offsets ${bound.start} to ${bound.bound}`);
        }
        if (offset < bound.bound) {
          const records = await reader.read(offset, bound, bytes);
          const nextOffset = (records.at(-1)?.offset ?? offset - 1n) + 1n;
          // Another fetch may have read further meanwhile, and what it found is served here too.
          return { records, nextOffset, bound: nextOffset > bound.bound ? nextOffset : bound.bound };
        }
        const leftMs = deadline - this.#clock.monotonic();
        if (leftMs <= 0) return { records: [], nextOffset: offset, bound: bound.bound };
        reader.watch.start();
        await reader.watch.wait(seen, leftMs, signal);
      }
    });
  }

  async bounds(topic: string, partition: number): Promise<{ readonly start: bigint; readonly bound: bigint }> {
    const attempted = `bounds of ${topic}/${partition}`;
    return this.#attempt(attempted, async () => {
      const opened = await this.#topic(topic, attempted);
      return this.#partition(opened, partition, attempted).bound();
    });
  }

  async offsetsForTime(topic: string, timestampMs: number): Promise<readonly (bigint | undefined)[]> {
    const attempted = `offsets of "${topic}" at ${timestampMs} ms`;
    return this.#attempt(attempted, async () => {
      const opened = await this.#topic(topic, attempted);
      const offsets: (bigint | undefined)[] = [];
      for (let partition = 0; partition < opened.description.partitions; partition++) {
        offsets.push(await this.#partition(opened, partition, attempted).offsetForTime(timestampMs));
      }
      return offsets;
    });
  }

  async close(): Promise<void> {
    this.#closing.abort();
    for (const opened of this.#topics.values()) await closeTopic(opened);
    this.#topics.clear();
  }

  /** The topic as it is now: looked at every time, since it may have been deleted or made anew. */
  async #topic(topic: string, attempted: string): Promise<OpenTopic> {
    if (this.#closing.signal.aborted) throw new Fault("cancelled", `${attempted}: the log is closed`);
    const identity = isTopicName(topic) ? await identityOf(join(this.#directory, topic, TOPIC_FILE)) : undefined;
    const known = this.#topics.get(topic);
    if (known !== undefined && known.identity === identity) return known;
    const description = identity === undefined ? undefined : await readTopic(this.#directory, topic);
    // Two callers may find the same news: the first to come here opens, the others take what it opened.
    const current = this.#topics.get(topic);
    if (current !== undefined && current.identity === identity) return current;
    if (current !== undefined) {
      this.#topics.delete(topic);
      await closeTopic(current);
    }
    if (description === undefined || identity === undefined) {
      throw new Fault("unknown-topic", `${attempted}: no such topic`);
    }
    const opened = { description, identity, partitions: [] };
    this.#topics.set(topic, opened);
    return opened;
  }

  #partition(opened: OpenTopic, partition: number, attempted: string): PartitionReader {
    const { name, partitions } = opened.description;
    if (!Number.isInteger(partition) || partition < 0 || partition >= partitions) {
      throw new Fault("invalid-request", `${attempted}: the topic has ${partitions} partitions`);
    }
    opened.partitions[partition] ??= new PartitionReader(
      partitionDirectory(this.#directory, name, partition),
      this.#clock,
    );
    return opened.partitions[partition];
  }

  /** What fails because the log was closed meanwhile says so, whatever the file system called it. */
  async #attempt<T>(attempted: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (this.#closing.signal.aborted) throw new Fault("cancelled", `${attempted}: the log is closed`, {}, error);
      throw faultFromUnknown(error, attempted);
    }
  }
}

async function identityOf(path: string): Promise<string | undefined> {
  try {
    const { ino, mtimeNs, ctimeNs } = await stat(path, { bigint: true });
    return `${ino}:${mtimeNs}:${ctimeNs}`;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw error;
  }
}

async function closeTopic(opened: OpenTopic): Promise<void> {
  for (const reader of opened.partitions) await reader?.close();
}

function recreated(opened: OpenTopic, request: FetchRequest, attempted: string): Fault {
  const ids = `its id is ${opened.description.id}, not ${request.topicId}`;
  return new Fault("topic-recreated", `${attempted}: the topic was made anew: ${ids}`);
}

function cancelled(signal: AbortSignal, attempted: string): Fault {
  const isKnown = signal.reason instanceof DOMException || signal.reason instanceof Fault;
  if (isKnown) return faultFromUnknown(signal.reason, attempted);
  return new Fault("cancelled", `${attempted}: cancelled`, {}, signal.reason);
}
