/** `skynetes produce` and `skynetes rejects replay` into a real broker, as a manifest names it. */
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type KafkaLog, openKafkaLog } from "../../../src/log/kafka/kafka-log.ts";
import type { ColumnSpec } from "../../../src/mesh/table-spec.ts";
import { rejectLine } from "../../../src/produce/reject-line.ts";
import { rowReader } from "../../../src/row-format/record-format.ts";
import { readAll, textOf } from "../../acceptance/log.suite.ts";
import { avroSchema } from "../../row-format/schemas.ts";
import { KafkaBroker } from "./kafka-broker.ts";

const SKYNETES = resolve(import.meta.dirname, "../../../bin/skynetes");
const AVRO = avroSchema({ id: "long", word: ["null", "string"] });
const directory = mkdtempSync(join(tmpdir(), "skynetes-cli-kafka-"));
const manifest = join(directory, "mesh.yaml");
let broker: KafkaBroker;
let log: KafkaLog;

beforeAll(async () => {
  broker = await KafkaBroker.start();
  log = openKafkaLog({ brokers: [broker.plain] });
  const names = ["lines", "table", "words"];
  const columns = [
    { name: "id", type: "INT64" },
    { name: "word", type: "STRING", nullable: true },
  ];
  const document = {
    apiVersion: "skynetes.io/v1alpha1",
    kind: "Mesh",
    metadata: { name: "cli" },
    spec: {
      shards: 2,
      nodes: [{ name: "node-a" }],
      log: { kafka: { brokersFrom: { environment: "BROKERS_OF_THE_TEST" } } },
      topics: names.map((name) => ({
        name,
        timestamps: "None",
        ...(name === "words" ? { format: "Avro", schema: AVRO } : { format: "JSON" }),
      })),
      tables: names.map((name) => ({ name, topic: name, kind: "Append", columns })),
    },
  };
  writeFileSync(manifest, JSON.stringify(document));
  writeFileSync(join(directory, "rows.jsonl"), '{"id":1,"word":"one"}\n{"id":9007199254740993,"word":null}\n');
  writeFileSync(join(directory, "rows.csv"), "id,word\n1,one\n9007199254740993,\n");
});
afterAll(async () => {
  await log?.close();
  await broker?.close();
  rmSync(directory, { recursive: true, force: true });
});

async function skynetes(...args: string[]): Promise<string> {
  const env = { ...process.env, BROKERS_OF_THE_TEST: broker.plain };
  return new Promise((done, failed) => {
    execFile(SKYNETES, [...args, "--manifest", manifest], { cwd: directory, env }, (error, stdout, stderr) => {
      if (error === null) done(stdout);
      else failed(new Error(`${error.message}\n${stderr}`));
    });
  });
}

async function valuesIn(name: string) {
  const topic = await log.describeTopic(name);
  const partitions = Array.from({ length: topic.partitions }, (_, partition) => readAll(log, topic, partition));
  return (await Promise.all(partitions)).flat();
}

const ROWS = ['{"id":1,"word":"one"}', '{"id":9007199254740993,"word":null}'];

test.each([
  ["lines", "rows.jsonl"],
  ["table", "rows.csv"],
])("%s are produced, once although the load is resumed", async (topic, file) => {
  await skynetes("produce", topic, file, "--key", "id");
  await skynetes("produce", topic, file, "--key", "id", "--resume");
  expect((await log.describeTopic(topic)).partitions).toBe(2);
  expect((await valuesIn(topic)).map(textOf).sort()).toEqual(ROWS);
});

test("a topic that the manifest says is Avro gets its rows in Avro", async () => {
  await skynetes("produce", "words", "rows.jsonl", "--key", "id");
  const columns: readonly ColumnSpec[] = [
    { name: "id", type: "INT64", nullable: false },
    { name: "word", type: "STRING", nullable: true },
  ];
  const reader = rowReader({ format: "Avro", schema: AVRO }, columns);
  const read = (await valuesIn("words")).map(({ value }) => reader.read(value!));
  expect(read.sort((a, b) => Number(a[0]) - Number(b[0]))).toEqual([
    [1n, "one"],
    [9_007_199_254_740_993n, null],
  ]);
});

test("rejects are replayed into their partitions, once", async () => {
  const topic = await log.describeTopic("lines");
  const counts = await Promise.all([0, 1].map(async (partition) => (await readAll(log, topic, partition)).length));
  const partition = counts[0]! > 0 ? 0 : 1;
  const mended = { topic: "lines", partition, offset: 0n, timestampMs: 1_000, key: Buffer.from("1") };
  const line = rejectLine({ ...mended, value: Buffer.from('{"id":1,"word":"mended"}') }, "for the test");
  writeFileSync(join(directory, "rejects.jsonl"), `${line}\n`);
  expect(await skynetes("rejects", "replay", "rejects.jsonl")).toBe("1 appended, 0 replayed before\n");
  expect(await skynetes("rejects", "replay", "rejects.jsonl")).toBe("0 appended, 1 replayed before\n");
  const values = (await readAll(log, topic, partition)).map(textOf);
  expect(values.filter((value) => value.includes("mended"))).toHaveLength(1);
});
