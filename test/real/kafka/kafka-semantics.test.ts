/** What only a real Kafka has: transactions, gaps, deleted records, damage on disk, a broker that goes and comes back. */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Admin } from "@platformatic/kafka";
import { CompressionTypes, Kafka, type Admin as KafkaJsAdmin, logLevel } from "kafkajs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type KafkaLog, openKafkaLog } from "../../../src/log/kafka/kafka-log.ts";
import { openKafkaLogWriter } from "../../../src/log/kafka/kafka-log-writer.ts";
import type { LogWriter } from "../../../src/log/log.ts";
import { faultOf, readAll, record, requestFor, textOf } from "../../acceptance/log.suite.ts";
import { BROKER_USER, KafkaBroker } from "./kafka-broker.ts";

let broker: KafkaBroker;
let log: KafkaLog;
let writer: LogWriter;
let kafka: Kafka;
let admin: KafkaJsAdmin;

beforeAll(async () => {
  broker = await KafkaBroker.start();
  log = openKafkaLog({ brokers: [broker.plain] });
  writer = openKafkaLogWriter({ brokers: [broker.plain] });
  kafka = new Kafka({ brokers: [broker.plain], logLevel: logLevel.NOTHING });
  admin = kafka.admin();
  await admin.connect();
});
afterAll(async () => {
  await admin?.disconnect();
  await writer?.close();
  await log?.close();
  await broker?.close();
});

const until = async (isSo: () => Promise<boolean>) => {
  const late = Date.now() + 60_000;
  while (!(await isSo())) {
    if (Date.now() > late) throw new Error("it never came");
    await new Promise((wake) => setTimeout(wake, 50));
  }
};
const message = (value: string) => ({ partition: 0, value });

describe("transactions", () => {
  test("what is committed is read, what is taken back is not, and the bound stops before what is open", async () => {
    const topic = await writer.createTopic("transactions", 1);
    const producer = kafka.producer({ transactionalId: "t1", idempotent: true, maxInFlightRequests: 1 });
    await producer.connect();
    const first = await producer.transaction();
    await first.send({ topic: topic.name, messages: [message("a"), message("b")] });
    await first.commit();
    const second = await producer.transaction();
    await second.send({ topic: topic.name, messages: [message("taken back")] });
    await second.abort();
    const third = await producer.transaction();
    await third.send({ topic: topic.name, messages: [message("c")] });

    // Two records, a marker, one record that was taken back, its marker; then the open one.
    await until(async () => (await log.bounds(topic.name, 0)).bound === 5n);
    expect((await readAll(log, topic, 0)).map((r) => [textOf(r), r.offset])).toEqual([
      ["a", 0n],
      ["b", 1n],
    ]);
    const atMarkers = await log.fetch(requestFor(topic, { offset: 2n }));
    expect(atMarkers).toEqual({ records: [], nextOffset: 5n, bound: 5n });
    await third.commit();
    await until(async () => (await log.bounds(topic.name, 0)).bound === 7n);
    expect((await readAll(log, topic, 0)).map(textOf)).toEqual(["a", "b", "c"]);
    // A reader that is given nothing but markers at the end still comes to it.
    expect(await log.fetch(requestFor(topic, { offset: 6n }))).toEqual({ records: [], nextOffset: 7n, bound: 7n });
    await producer.disconnect();
  });
});

describe("gaps", () => {
  test("of a compacted topic are passed over", async () => {
    await admin.createTopics({
      topics: [
        {
          topic: "compacted",
          numPartitions: 1,
          configEntries: [
            { name: "cleanup.policy", value: "compact" },
            { name: "segment.bytes", value: "1048576" },
            { name: "min.cleanable.dirty.ratio", value: "0.001" },
            { name: "segment.ms", value: "100" },
          ],
        },
      ],
    });
    const topic = await log.describeTopic("compacted");
    const value = Buffer.alloc(2_000, 65);
    const keyed = (n: number) => ({ timestampMs: Date.now(), key: Buffer.from(`k${n % 5}`), value, headers: [] });
    for (let i = 0; i < 20; i++) {
      await writer.append(
        "compacted",
        0,
        Array.from({ length: 100 }, (_, j) => keyed(100 * i + j)),
      );
    }
    // A segment is closed when something is appended after its time.
    await until(async () => {
      await writer.append("compacted", 0, [keyed(0)]);
      return (await readAll(log, topic, 0)).length < 500;
    });
    const { bound } = await log.bounds("compacted", 0);
    const left = await readAll(log, topic, 0);
    expect(left.at(-1)!.offset).toBe(bound - 1n);
    // From any offset, there or gone, the same records follow.
    for (const from of [1n, 700n, 1_998n]) {
      const wanted = left.filter(({ offset }) => offset >= from).map(({ offset }) => offset);
      const read = (await readAll(log, topic, 0, { offset: from })).map(({ offset }) => offset);
      expect(read.filter((offset) => wanted.includes(offset))).toEqual(read);
      expect(read.length).toBeGreaterThan(0);
    }
  });

  test("at the beginning are lost records", async () => {
    const topic = await writer.createTopic("shortened", 1);
    await writer.append("shortened", 0, [record(0), record(1), record(2), record(3)]);
    const deleting = new Admin({ clientId: "deleting", bootstrapBrokers: [broker.plain] });
    await deleting.deleteRecords({ topics: [{ name: "shortened", partitions: [{ partition: 0, offset: 2n }] }] });
    await deleting.close();
    expect(await log.bounds("shortened", 0)).toEqual({ start: 2n, bound: 4n });
    expect(await faultOf(log.fetch(requestFor(topic, { offset: 0n })))).toBe("log-truncated");
    expect((await readAll(log, topic, 0, { offset: 2n })).map(textOf)).toEqual(["2", "3"]);
  });
});

test("records of another producer, compressed, are read; ours are read by another consumer", async () => {
  const topic = await writer.createTopic("shared", 1);
  const producer = kafka.producer();
  await producer.connect();
  const messages = [{ key: "k", value: "theirs", timestamp: "1700000000000", headers: { h: ["1", "2"] } }];
  await producer.send({ topic: "shared", compression: CompressionTypes.GZIP, messages });
  const far = { ...record(9), timestampMs: 4, headers: [["h", Buffer.from("x")]] as const };
  await writer.append("shared", 0, [{ ...record(8), timestampMs: 1_800_000_000_000 }, far]);
  const [theirs] = await readAll(log, topic, 0);
  expect(theirs).toMatchObject({ offset: 0n, timestampMs: 1_700_000_000_000 });
  expect(theirs!.headers.map(([name, value]) => [name, Buffer.from(value).toString()])).toEqual([
    ["h", "1"],
    ["h", "2"],
  ]);
  const consumer = kafka.consumer({ groupId: "other" });
  await consumer.connect();
  await consumer.subscribe({ topic: "shared", fromBeginning: true });
  const seen: unknown[] = [];
  await consumer.run({
    eachMessage: async ({ message: m }) => {
      seen.push([m.offset, m.timestamp, m.value?.toString(), m.headers?.h?.toString()]);
    },
  });
  await until(async () => seen.length === 3);
  expect(seen.slice(1)).toEqual([
    ["1", "1800000000000", "8", undefined],
    ["2", "4", "9", "x"],
  ]);
  await consumer.disconnect();
  await producer.disconnect();
});

test("a topic says who sets its time, and with the broker's time never goes back", async () => {
  await writer.createTopic("of-the-log", 1, { timestamps: "log" });
  await writer.createTopic("of-its-producer", 1);
  expect(await log.timestampType("of-the-log")).toBe("LogAppendTime");
  expect(await log.timestampType("of-its-producer")).toBe("CreateTime");
  await writer.append("of-the-log", 0, [record(5), record(3)]);
  const topic = await log.describeTopic("of-the-log");
  const times = (await readAll(log, topic, 0)).map(({ timestampMs }) => timestampMs);
  expect(Math.min(...times)).toBeGreaterThan(1_600_000_000_000);
  expect(await log.offsetsForTime("of-the-log", times[0]!)).toEqual([0n]);
  expect(await log.offsetsForTime("of-the-log", times[1]! + 1)).toEqual([undefined]);
});

test("a waiting fetch does not hold up others, and connections are as many as requests at once", async () => {
  const topic = await writer.createTopic("waited-for", 2);
  const abort = new AbortController();
  // One that had to wait its turn behind them would come after they ended.
  const order: string[] = [];
  const waiting = Array.from({ length: 4 }, () =>
    faultOf(log.fetch(requestFor(topic, { maxWaitMs: 20_000, signal: abort.signal }))).finally(() => {
      order.push("the waiting one");
    }),
  );
  await writer.append("waited-for", 1, [record(1)]);
  expect((await readAll(log, topic, 1)).map(textOf)).toEqual(["1"]);
  order.push("the other");
  abort.abort();
  await Promise.all(waiting);
  expect(order[0]).toBe("the other");
  expect(await Promise.all(waiting)).toEqual(Array(4).fill("cancelled"));
});

test("wrong credentials, a certificate of nobody we know and a broker that is not there are told apart", async () => {
  const ca = readFileSync(broker.certificate.authority);
  const sasl = { mechanism: "SCRAM-SHA-256", username: BROKER_USER, password: "wrong" } as const;
  const describeBy = async (config: Parameters<typeof openKafkaLog>[0]) => {
    const other = openKafkaLog(config);
    try {
      return await faultOf(other.describeTopic("shared"));
    } finally {
      await other.close();
    }
  };
  expect(await describeBy({ brokers: [broker.sasl], tls: { ca }, sasl })).toBe("permission-denied");
  expect(await describeBy({ brokers: [broker.tls], tls: {} })).toBe("log-unavailable");
  expect(await describeBy({ brokers: [broker.tls], tls: { ca, servername: "other" } })).toBe("log-unavailable");
  expect(await describeBy({ brokers: ["127.0.0.1:1"] })).toBe("log-unavailable");
});

test("a broker that goes is a fault that may be tried again, and a batch under way arrives once when it is back", async () => {
  const topic = await writer.createTopic("restarted", 1);
  await writer.append("restarted", 0, [record(0)]);
  expect((await readAll(log, topic, 0)).map(textOf)).toEqual(["0"]);
  await broker.stop();
  expect(await faultOf(log.fetch(requestFor(topic, { offset: 1n })))).toBe("log-unavailable");
  const appending = writer.append("restarted", 0, [record(1), record(2)]);
  await broker.restart();
  expect(await appending).toBe(1n);
  await until(async () => (await log.bounds("restarted", 0).catch(() => undefined))?.bound === 3n);
  expect((await readAll(log, topic, 0)).map(textOf)).toEqual(["0", "1", "2"]);
});

test("bytes that changed on the broker's disk are damage, not records", async () => {
  const topic = await writer.createTopic("damaged", 1);
  await writer.append("damaged", 0, [record(1)]);
  await writer.append("damaged", 0, [record(2)]);
  await broker.stop();
  const folder = join(broker.directory, "data", "damaged-0");
  const segment = join(folder, readdirSync(folder).find((name) => name.endsWith(".log")) as string);
  const bytes = readFileSync(segment);
  bytes[bytes.length - 2] = bytes[bytes.length - 2]! ^ 1;
  writeFileSync(segment, bytes);
  await broker.restart();
  await until(async () => (await log.bounds("damaged", 0).catch(() => undefined)) !== undefined);
  expect((await log.fetch(requestFor(topic, { maxBytes: 1 }))).records.map(textOf)).toEqual(["1"]);
  await expect(log.fetch(requestFor(topic, { offset: 1n }))).rejects.toMatchObject({
    id: "log-corrupt",
    message: expect.stringContaining("checksum"),
  });
});
