import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Fault } from "../../src/fault/fault.ts";
import type { FetchRequest, Log, LogRecord, LogWriter, NewRecord, TopicDescription } from "../../src/log/log.ts";

export interface LogUnderTest {
  readonly log: Log;
  readonly writer: LogWriter;
  /** A second, independent reader of the same log. */
  openReader(): Promise<Log>;
  /** Deletes the topic and makes it anew under its name; `undefined` where the log cannot. */
  recreateTopic?(topic: string, partitions: number): Promise<TopicDescription>;
  close(): Promise<void>;
}

/** What every implementation of `Log` and `LogWriter` keeps. */
export function logAcceptance(name: string, open: () => Promise<LogUnderTest>): void {
  describe(`${name} keeps the contract of the log`, () => {
    let under: LogUnderTest;
    beforeEach(async () => {
      under = await open();
    });
    afterEach(async () => {
      await under.close();
    });

    it("refuses a topic that is not there", async () => {
      expect(await faultOf(under.log.describeTopic("nowhere"))).toBe("unknown-topic");
      expect(await faultOf(under.log.bounds("nowhere", 0))).toBe("unknown-topic");
      expect(await faultOf(under.log.offsetsForTime("nowhere", 0))).toBe("unknown-topic");
      expect(await faultOf(under.log.fetch(requestFor({ name: "nowhere", id: "x", partitions: 1 }, {})))).toBe(
        "unknown-topic",
      );
      expect(await faultOf(under.writer.append("nowhere", 0, [record(1)]))).toBe("unknown-topic");
    });

    it("refuses to create a topic again with another number of partitions", async () => {
      const first = await under.writer.createTopic("t", 3);
      expect(await under.writer.createTopic("t", 3)).toEqual(first);
      expect(await faultOf(under.writer.createTopic("t", 4))).toBe("invalid-request");
      expect(await under.log.describeTopic("t")).toEqual(first);
    });

    it("refuses a partition that the topic does not have", async () => {
      const topic = await under.writer.createTopic("t", 2);
      expect(await faultOf(under.writer.append("t", 2, [record(1)]))).toBe("invalid-request");
      expect(await faultOf(under.log.bounds("t", 2))).toBe("invalid-request");
      expect(await faultOf(under.log.fetch(requestFor(topic, { partition: -1 })))).toBe("invalid-request");
    });

    it("refuses a record of 50 MB, a negative timestamp and half a millisecond, and takes none beside them", async () => {
      const topic = await under.writer.createTopic("t", 1);
      const huge = { ...record(1), value: Buffer.alloc(50 * 1024 * 1024) };
      for (const bad of [huge, { ...record(1), timestampMs: -1 }, { ...record(1), timestampMs: 1.5 }]) {
        expect(await faultOf(under.writer.append("t", 0, [record(0), bad]))).toBe("invalid-request");
      }
      await under.writer.flush();
      expect(await under.log.bounds("t", 0)).toEqual({ start: 0n, bound: 0n });
      await under.writer.append("t", 0, [record(7)]);
      await under.writer.flush();
      expect((await readAll(under.log, topic, 0)).map(textOf)).toEqual(["7"]);
    });

    it("refuses an offset beyond the end", async () => {
      const topic = await under.writer.createTopic("t", 1);
      await under.writer.append("t", 0, [record(0), record(1)]);
      await under.writer.flush();
      expect(await faultOf(under.log.fetch(requestFor(topic, { offset: 3n })))).toBe("log-truncated");
      expect((await under.log.fetch(requestFor(topic, { offset: 2n }))).records).toEqual([]);
    });

    it("refuses a topic that was made anew under its name", async () => {
      if (under.recreateTopic === undefined) return;
      const old = await under.writer.createTopic("t", 1);
      await under.writer.append("t", 0, [record(0)]);
      await under.writer.flush();
      await readAll(under.log, old, 0);
      const fresh = await under.recreateTopic("t", 1);
      expect(fresh.id).not.toBe(old.id);
      expect(await faultOf(under.log.fetch(requestFor(old, {})))).toBe("topic-recreated");
      expect((await under.log.fetch(requestFor(fresh, {}))).bound).toBe(0n);
    });

    it("gives back keys, values, tombstones, headers and timestamps as they were", async () => {
      const topic = await under.writer.createTopic("t", 1);
      const records: NewRecord[] = [
        { timestampMs: 1_700_000_000_000, key: Buffer.from("k"), value: Buffer.from("v"), headers: [] },
        { timestampMs: 5, key: null, value: Buffer.alloc(0), headers: [["ü", Buffer.from([0, 255])]] },
        { timestampMs: 2 ** 45, key: Buffer.alloc(0), value: null, headers: [] },
        { timestampMs: 0, key: Buffer.alloc(40, 1), value: Buffer.alloc(70_000, 2), headers: [["a", Buffer.alloc(0)]] },
      ];
      expect(await under.writer.append("t", 0, records)).toBe(0n);
      await under.writer.flush();
      const read = await readAll(under.log, topic, 0);
      expect(read.map(plain)).toEqual(records.map((r, i) => plain({ ...r, offset: BigInt(i) })));
    });

    it("counts offsets per partition from 0 on, without gaps here", async () => {
      await under.writer.createTopic("t", 2);
      expect(await under.writer.append("t", 0, [record(0), record(1)])).toBe(0n);
      expect(await under.writer.append("t", 1, [record(2)])).toBe(0n);
      expect(await under.writer.append("t", 0, [record(3)])).toBe(2n);
      await under.writer.flush();
      expect(await under.log.bounds("t", 0)).toEqual({ start: 0n, bound: 3n });
      expect(await under.log.bounds("t", 1)).toEqual({ start: 0n, bound: 1n });
    });

    it("reads from any offset on, in steps of any size", async () => {
      const topic = await under.writer.createTopic("t", 1);
      for (let i = 0; i < 50; i++) {
        await under.writer.append("t", 0, [record(2 * i), record(2 * i + 1)]);
        if (i % 7 === 0) await under.writer.flush();
      }
      await under.writer.flush();
      for (const maxBytes of [1, 200, 1_000_000]) {
        for (const offset of [0n, 1n, 33n, 99n]) {
          const read = await readAll(under.log, topic, 0, { offset, maxBytes });
          const wanted = Array.from({ length: 100 - Number(offset) }, (_, i) => String(Number(offset) + i));
          expect(read.map(textOf)).toEqual(wanted);
          expect(read[0]!.offset).toBe(offset);
        }
      }
    });

    it("finds the first record at or after a time, and none where the partition has not passed it", async () => {
      await under.writer.createTopic("t", 3);
      const at = (timestampMs: number): NewRecord => ({ ...record(timestampMs), timestampMs });
      await under.writer.append("t", 0, [at(10), at(20), at(20), at(30)]);
      await under.writer.append("t", 1, [at(25)]);
      await under.writer.flush();
      expect(await under.log.offsetsForTime("t", 0)).toEqual([0n, 0n, undefined]);
      expect(await under.log.offsetsForTime("t", 20)).toEqual([1n, 0n, undefined]);
      expect(await under.log.offsetsForTime("t", 21)).toEqual([3n, 0n, undefined]);
      expect(await under.log.offsetsForTime("t", 31)).toEqual([undefined, undefined, undefined]);
    });

    it("wakes a waiting reader when a record is there, and gives an empty answer when the wait is over", async () => {
      const topic = await under.writer.createTopic("t", 1);
      const waiting = under.log.fetch(requestFor(topic, { maxWaitMs: 20_000 }));
      await under.writer.append("t", 0, [record(1)]);
      await under.writer.flush();
      expect((await waiting).records.map(textOf)).toEqual(["1"]);
      const empty = await under.log.fetch(requestFor(topic, { offset: 1n, maxWaitMs: 30 }));
      expect(empty).toEqual({ records: [], nextOffset: 1n, bound: 1n });
    });

    it("ends a wait that is cancelled", async () => {
      const topic = await under.writer.createTopic("t", 1);
      const abort = new AbortController();
      const waiting = faultOf(under.log.fetch(requestFor(topic, { maxWaitMs: 20_000, signal: abort.signal })));
      abort.abort();
      expect(await waiting).toBe("cancelled");
    });

    it("shows every reader the same records while they are written", async () => {
      const topic = await under.writer.createTopic("t", 1);
      const total = 3000;
      const readers = await Promise.all([under.openReader(), under.openReader(), under.openReader()]);
      const reading = readers.map((reader) => followTo(reader, topic, BigInt(total)));
      for (let i = 0; i < total; i += 3) {
        await under.writer.append("t", 0, [record(i), record(i + 1), record(i + 2)]);
        if (i % 60 === 0) await under.writer.flush();
      }
      await under.writer.flush();
      const wanted = Array.from({ length: total }, (_, i) => String(i));
      for (const read of await Promise.all(reading)) expect(read).toEqual(wanted);
      for (const reader of readers) await reader.close();
    });
  });
}

export function record(n: number): NewRecord {
  return { timestampMs: n, key: Buffer.from(`k${n}`), value: Buffer.from(String(n)), headers: [] };
}

export function textOf({ value }: LogRecord): string {
  return Buffer.from(value!).toString("utf8");
}

export function requestFor(topic: TopicDescription, request: Partial<FetchRequest>): FetchRequest {
  const signal = new AbortController().signal;
  const where = { topic: topic.name, topicId: topic.id, partition: 0, offset: 0n };
  return { ...where, maxBytes: 1_000_000, maxWaitMs: 0, signal, ...request };
}

/** All that can be fetched now. */
export async function readAll(
  log: Log,
  topic: TopicDescription,
  partition: number,
  request: Partial<FetchRequest> = {},
): Promise<LogRecord[]> {
  const records: LogRecord[] = [];
  for (let offset = request.offset ?? 0n; ; ) {
    const result = await log.fetch(requestFor(topic, { ...request, partition, offset }));
    records.push(...result.records);
    if (result.records.length === 0) return records;
    offset = result.nextOffset;
  }
}

async function followTo(log: Log, topic: TopicDescription, end: bigint): Promise<string[]> {
  const texts: string[] = [];
  for (let offset = 0n; offset < end; ) {
    const result = await log.fetch(requestFor(topic, { offset, maxWaitMs: 20_000, maxBytes: 2000 }));
    texts.push(...result.records.map(textOf));
    offset = result.nextOffset;
  }
  return texts;
}

/** The id of the fault it fails with. */
export async function faultOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
  } catch (error) {
    if (error instanceof Fault) return error.id;
    throw error;
  }
  return "no fault";
}

function plain(r: LogRecord): unknown {
  const bytes = (b: Uint8Array | null) => (b === null ? null : Buffer.from(b).toString("hex"));
  const headers = r.headers.map(([name, value]) => [name, bytes(value)]);
  return { offset: r.offset, timestampMs: r.timestampMs, key: bytes(r.key), value: bytes(r.value), headers };
}
