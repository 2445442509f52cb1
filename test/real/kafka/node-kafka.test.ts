/** Node agents on a real broker: nothing lost and nothing twice, and what a log may do that no node may pass over. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { Admin } from "@platformatic/kafka";
import { Kafka, type Admin as KafkaJsAdmin, logLevel } from "kafkajs";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { type KafkaLog, openKafkaLog } from "../../../src/log/kafka/kafka-log.ts";
import { openKafkaLogWriter } from "../../../src/log/kafka/kafka-log-writer.ts";
import type { LogWriter } from "../../../src/log/log.ts";
import { NodeAgentService } from "../../../src/wire/generated/skynetes/v1/node_agent_pb.ts";
import { unaryClient } from "../../../src/wire/grpc-service.ts";
import { testDirectory } from "../../node/node-fixture.ts";
import { agentCalls, runningNode } from "../../node/small-mesh.ts";
import { KafkaBroker } from "./kafka-broker.ts";
import { oneTopic } from "./one-topic.ts";

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

const row = (id: number) => JSON.stringify({ id, word: `w${id % 7}` });
const rows = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, i) => {
    return { timestampMs: 1_000, key: null, value: Buffer.from(row(from + i)), headers: [] };
  });

/** Of all partitions, as far as the log goes now. */
async function cutOfLog(topic: string) {
  const { id, partitions } = await log.describeTopic(topic);
  const position = async (partition: number) => {
    const { bound } = await log.bounds(topic, partition);
    return { topic, topicId: id, partition, position: bound };
  };
  return { positions: await Promise.all(Array.from({ length: partitions }, (_, i) => position(i))) };
}

async function childNode(directory: string, topic: string) {
  const script = join(import.meta.dirname, "kafka-node.ts");
  const child: ChildProcess = spawn(process.execPath, [script, directory, broker.plain, topic], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exited = once(child, "exit");
  const ended = exited.then(() => Promise.reject(new Error("the node ended before it was ready")));
  const [line] = (await Promise.race([once(createInterface(child.stdout!), "line"), ended])) as string[];
  const agent = unaryClient(NodeAgentService, JSON.parse(line!).ready.address);
  let killed: Promise<unknown> | undefined;
  const kill = () => {
    agent.close();
    child.kill("SIGKILL");
    killed ??= exited;
    return killed;
  };
  onTestFinished(async () => {
    await kill();
  });
  return { ...agentCalls(agent), kill };
}

test("a node that is killed again and again while transactions are made and taken back has each committed record once", async () => {
  const topic = "killed";
  await writer.createTopic(topic, 2);
  const producer = kafka.producer({ transactionalId: "killed", idempotent: true, maxInFlightRequests: 1 });
  await producer.connect();
  let next = 0;
  let committed = 0;
  const produce = async () => {
    for (let i = 0; i < 12; i++) {
      const transaction = await producer.transaction();
      for (const partition of [0, 1]) {
        const messages = Array.from({ length: 60 }, () => ({ partition, value: row(next++) }));
        await transaction.send({ topic, messages });
      }
      if (i % 3 === 1) await transaction.abort();
      else await transaction.commit().then(() => (committed += 120));
    }
  };

  const directory = await testDirectory();
  let seen = 0n;
  for (let round = 0; round < 4; round++) {
    const node = await childNode(directory, topic);
    const producing = produce();
    const position = async () => (await node.shardStatus(0)).position?.positions[0]?.position ?? 0n;
    seen = await node.until(position, (at) => at > seen);
    await node.kill();
    await producing;
  }
  await producer.disconnect();

  const cut = await cutOfLog(topic);
  expect(seen).toBeLessThan(cut.positions[0]!.position);
  const survivor = await childNode(directory, topic);
  const fresh = await runningNode(await testDirectory(), log, oneTopic(topic));
  let rowsFrozen = 0n;
  for (const shard of [0, 1]) {
    const { manifest } = await survivor.freeze("all", shard, cut);
    const replayed = await fresh.freeze("all", shard, cut);
    expect(manifest!.stateDigest).toBe(replayed.manifest!.stateDigest);
    expect(manifest!.stateDigest).toBe((await survivor.rederive(shard, cut)).stateDigest);
    expect(manifest!.rejected).toBe(0n);
    rowsFrozen += manifest!.tables[0]!.rows;
  }
  expect(rowsFrozen).toBe(BigInt(committed));
});

/** A node that has ingested five records of each partition, and is closed. */
async function fiveIngested(topic: string): Promise<string> {
  await writer.createTopic(topic, 2);
  for (const partition of [0, 1]) await writer.append(topic, partition, rows(0, 5));
  const directory = await testDirectory();
  const node = await runningNode(directory, log, oneTopic(topic));
  for (const shard of [0, 1]) await comesTo(node, shard, 5n);
  await node.close();
  return directory;
}

type RunningNode = Awaited<ReturnType<typeof runningNode>>;

function comesTo(node: RunningNode, shard: number, wanted: bigint) {
  return node.until(
    () => node.shardStatus(shard),
    ({ position }) => position?.positions[0]?.position === wanted,
  );
}

function alarmOf(node: RunningNode, shard: number) {
  return node.until(
    () => node.shardStatus(shard),
    ({ alarm }) => alarm !== "",
  );
}

test("records that were deleted before they were ingested stop their partition with an alarm, and no other", async () => {
  const topic = "cut-short";
  const directory = await fiveIngested(topic);
  for (const partition of [0, 1]) await writer.append(topic, partition, rows(5, 10));
  const deleting = new Admin({ clientId: "deleting", bootstrapBrokers: [broker.plain] });
  await deleting.deleteRecords({ topics: [{ name: topic, partitions: [{ partition: 0, offset: 8n }] }] });
  await deleting.close();
  const node = await runningNode(directory, log, oneTopic(topic));
  const stopped = await alarmOf(node, 0);
  expect(stopped.alarm).toContain(`log-truncated: fetch ${topic}/0 from offset 5: it holds offsets 8 to 10`);
  expect((await comesTo(node, 1, 10n)).alarm).toBe("");
  // It has not jumped, and does not begin anew where the log begins.
  expect((await node.shardStatus(0)).position?.positions[0]?.position).toBe(5n);
  const anew = await runningNode(await testDirectory(), log, oneTopic(topic));
  expect((await alarmOf(anew, 0)).alarm).toContain("from offset 0: it holds offsets 8 to 10");
});

test("a topic that was made anew is known by its id and refused", async () => {
  const topic = "made-anew";
  const directory = await fiveIngested(topic);
  const before = await log.describeTopic(topic);
  await admin.deleteTopics({ topics: [topic] });
  while ((await admin.listTopics()).includes(topic)) await new Promise((wake) => setTimeout(wake, 20));
  const after = await writer.createTopic(topic, 2);
  expect(after.id).not.toBe(before.id);
  for (const partition of [0, 1]) await writer.append(topic, partition, rows(100, 120));
  const node = await runningNode(directory, log, oneTopic(topic));
  for (const shard of [0, 1]) {
    const { alarm, position } = await alarmOf(node, shard);
    expect(alarm).toContain("topic-recreated");
    for (const id of [before.id, after.id]) expect(alarm).toContain(id);
    expect(position?.positions[0]?.position).toBe(5n);
  }
});

test("a topic with fewer or more partitions than the manifest says is ingested by nobody", async () => {
  for (const [topic, partitions] of [
    ["too-few", 1],
    ["too-many", 3],
  ] as const) {
    await writer.createTopic(topic, partitions);
    await writer.append(topic, 0, rows(0, 5));
    const node = await runningNode(await testDirectory(), log, oneTopic(topic));
    for (const shard of [0, 1]) {
      const { alarm, position } = await alarmOf(node, shard);
      expect(alarm).toContain(`the topic has ${partitions} partitions, the manifest says 2`);
      expect(position?.positions).toEqual([]);
    }
  }
});
