import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DuckDBInstance } from "@duckdb/node-api";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openEmbeddedLog } from "../../src/log/embedded/embedded-log.ts";
import { type EmbeddedLogWriter, openEmbeddedLogWriter } from "../../src/log/embedded/embedded-log-writer.ts";
import type { Log, LogRecord } from "../../src/log/log.ts";
import { partitionOf } from "../../src/log/partitioner.ts";
import { type ProduceOptions, type ProduceProgress, produceFile } from "../../src/produce/produce-file.ts";
import { valueEncoder } from "../../src/row-format/record-format.ts";
import { readAll, textOf } from "../acceptance/log.suite.ts";
import { temporaryDirectories } from "../log/embedded/log-fixture.ts";

const makeDirectory = temporaryDirectories();
const NOW = 1_700_000_000_000;
const clock = { now: () => NOW, monotonic: () => 0, after: () => () => {} };

let directory: string;
let writer: EmbeddedLogWriter;
let log: Log;
beforeEach(async () => {
  directory = await makeDirectory();
  writer = await openEmbeddedLogWriter(join(directory, "log"));
  log = openEmbeddedLog(join(directory, "log"));
});
afterEach(async () => {
  await writer.close();
  await log.close();
});

type Given = Partial<ProduceOptions> & { readonly file: string };

async function produce(options: Given): Promise<ProduceProgress> {
  let last: ProduceProgress | undefined;
  const all = { writer, log, clock, topic: "t", partitions: 1, ...options };
  for await (const progress of produceFile(all)) last = progress;
  return last!;
}

async function fileWith(name: string, content: string | Buffer): Promise<string> {
  const path = join(directory, name);
  await writeFile(path, content);
  return path;
}

async function parquetOf(select: string, name = "x.parquet"): Promise<string> {
  const path = join(directory, name);
  const instance = await DuckDBInstance.create(":memory:");
  const connection = await instance.connect();
  await connection.run(`COPY (${select}) TO '${path}' (FORMAT parquet)`);
  connection.closeSync();
  instance.closeSync();
  return path;
}

async function held(partitions = 1): Promise<LogRecord[]> {
  const topic = await log.describeTopic("t");
  const records: LogRecord[] = [];
  for (let p = 0; p < partitions; p++) records.push(...(await readAll(log, topic, p)));
  return records;
}

const keyText = ({ key }: LogRecord) => (key === null ? null : Buffer.from(key).toString("utf8"));

describe("a file that cannot be loaded is refused with its name", () => {
  it.each([
    ["not there", { file: "/nowhere/x.csv" }, "/nowhere/x.csv"],
    ["of an unknown kind", { file: "x.docx", content: "x" }, "does not end in .csv"],
    ["of an unknown format", { file: "x.csv", content: "a\n1\n", format: "xml" }, '"xml" is none of csv'],
    ["no Parquet", { file: "x.parquet", content: "PAR0" }, "x.parquet"],
    ["without the key column", { file: "x.csv", content: "a,b\n1,2\n", keyColumns: ["c"] }, 'no column "c", only a, b'],
    ["with a line of too many fields", { file: "x.csv", content: "a,b\n1,2\n3,4,5\n" }, "x.csv"],
    ["with a line of too few fields", { file: "x.csv", content: "a,b\n1,2\n3\n" }, "x.csv"],
    ["with a line that is not JSON", { file: "x.jsonl", content: '{"a":1}\n{"a":\n' }, "row 2: not JSON"],
    ["with a line that is no object", { file: "x.jsonl", content: "[1]\n" }, "row 1: not a JSON object"],
    ["not UTF-8", { file: "x.jsonl", content: Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]) }, "not UTF-8"],
    ["with a key that is not there", { file: "x.jsonl", content: '{"a":1}\n', keyColumns: ["b"] }, 'no column "b"'],
    ["with a key that is a list", { file: "x.jsonl", content: '{"a":[1]}\n', keyColumns: ["a"] }, "not a plain value"],
    ["with no key named __proto__", { file: "x.jsonl", content: '{"a":1}\n', keyColumns: ["__proto__"] }, "no column"],
  ])("%s", async (_, { file, content, ...options }: Given & { content?: string | Buffer }, message) => {
    const path = content === undefined ? file : await fileWith(file, content);
    await expect(produce({ ...options, file: path })).rejects.toMatchObject({
      id: "bad-input-file",
      message: expect.stringContaining(message),
    });
  });
});

describe("a bad row", () => {
  const json = (n: number, at: string) => `{"n":${n},"at":"${at}"}\n`;

  it.each([
    ["x.jsonl", json(1, "2001-01-01") + json(2, "2001-01-02") + json(3, "2001-02-30") + json(4, "2001-01-04")],
    ["x.csv", "n,at\n1,2001-01-01\n2,2001-01-02\n3,2001-02-30\n4,2001-01-04\n"],
    ["x.csv", "n,at\n1,2001-01-01\n2,2001-01-02\n3,\n4,2001-01-04\n"],
    ["x.csv", "n,at\n1,2001-01-01\n2,2001-01-02\n3,1969-12-31\n4,2001-01-04\n"],
  ])(
    "is named, rows before it are durable, none after it is, and the mended file goes on (%s %#)",
    async (name, bad) => {
      const options = { file: await fileWith(name, bad), keyColumns: ["n"], timestampColumn: "at", partitions: 3 };
      await expect(produce(options)).rejects.toMatchObject({
        id: "bad-input-file",
        message: expect.stringContaining("row 3: "),
      });
      expect((await held(3)).map(keyText).sort()).toEqual(["1", "2"]);
      await fileWith(name, bad.replace(/2001-02-30|1969-12-31/, "2001-01-03").replace("3,\n", "3,2001-01-03\n"));
      expect(await produce({ ...options, resume: true })).toMatchObject({ rows: 4 });
      expect((await held(3)).map(keyText).sort()).toEqual(["1", "2", "3", "4"]);
    },
  );

  it("that is too large is refused before anything of it is written", async () => {
    const file = await fileWith("x.jsonl", `{"n":1}\n{"n":2,"x":"${"y".repeat(16 * 1024 * 1024)}"}\n`);
    await expect(produce({ file })).rejects.toMatchObject({ message: expect.stringContaining("row 2: a record of") });
    expect((await held()).map(textOf)).toEqual(['{"n":1}']);
  });

  it("without a line end is refused before it fills the memory", async () => {
    const file = await fileWith("x.jsonl", Buffer.alloc(20 * 1024 * 1024, "x"));
    await expect(produce({ file })).rejects.toMatchObject({ message: expect.stringContaining("longer than") });
  });

  it("an infinite timestamp is a bad row", async () => {
    const file = await parquetOf("SELECT TIMESTAMP 'infinity' AS at");
    await expect(produce({ file })).rejects.toMatchObject({ message: expect.stringContaining("row 1: the timestamp") });
  });

  it("a column that can be no timestamp is said to be none", async () => {
    const file = await fileWith("x.csv", "n\n1\n");
    await expect(produce({ file, timestampColumn: "n" })).rejects.toMatchObject({
      message: expect.stringContaining("neither a timestamp"),
    });
  });
});

describe("values keep every digit", () => {
  it("from Parquet, whatever the type", async () => {
    const file = await parquetOf(`SELECT 9007199254740993::BIGINT AS big, (-9223372036854775808)::BIGINT AS least,
      18446744073709551615::UBIGINT AS unsigned, 7::TINYINT AS small, 12345678901234567.89::DECIMAL(19,2) AS price,
      0.1::DOUBLE AS tenth, 'NaN'::DOUBLE AS nan, TRUE AS yes, NULL::INTEGER AS nothing,
      TIMESTAMP '2001-02-03 04:05:06' AS at, TIMESTAMP '2001-02-03 04:05:06.000700' AS fine,
      TIMESTAMP_NS '1969-12-31 23:59:59.123456789' AS finest, TIMESTAMP_MS '2001-02-03 04:05:06.120' AS ms,
      DATE '2001-02-03' AS day, 'ü"\\ \u0001' || chr(10) AS text, '\\xAA\\x00'::BLOB AS bytes,
      [1, 2] AS list, {'a': 'b'} AS struct, 'short' AS short`);
    await produce({ file });
    expect(textOf((await held())[0]!)).toBe(
      '{"big":9007199254740993,"least":-9223372036854775808,"unsigned":18446744073709551615,"small":7,' +
        '"price":"12345678901234567.89","tenth":0.1,"nan":"NaN","yes":true,"nothing":null,' +
        '"at":"2001-02-03T04:05:06Z","fine":"2001-02-03T04:05:06.0007Z","finest":"1969-12-31T23:59:59.123456789Z",' +
        '"ms":"2001-02-03T04:05:06.12Z","day":"2001-02-03","text":"ü\\"\\\\ \\u0001\\n","bytes":"qgA=",' +
        '"list":[1,2],"struct":{"a":"b"},"short":"short"}',
    );
  });

  it("from CSV, numbers longer than a double among them", async () => {
    const csv = 'id,long,ratio,zip,name\n9007199254740993,12345678901234567890,0.10,007,"a ""b"", c"\n2,1,.5,123,\n';
    await produce({ file: await fileWith("x.csv", csv), keyColumns: ["long"] });
    const records = await held();
    expect(records.map(textOf)).toEqual([
      '{"id":9007199254740993,"long":12345678901234567890,"ratio":0.10,"zip":"007","name":"a \\"b\\", c"}',
      '{"id":2,"long":1,"ratio":0.5,"zip":"123","name":null}',
    ]);
    expect(records.map(keyText)).toEqual(["12345678901234567890", "1"]);
  });

  it("from JSON lines, each as it stands", async () => {
    const lines = ['{"id":9007199254740993, "price":1.10,"nested":{"id":1}}', '{"id":1e3,"price":-0.0}', '{"id":5}'];
    const content = `\uFEFF${lines[0]}\r\n\n  ${lines[1]}  \n${lines[2]}`;
    expect(await produce({ file: await fileWith("x.jsonl", content), keyColumns: ["id"] })).toMatchObject({ rows: 3 });
    const records = await held();
    expect(records.map(textOf)).toEqual(lines);
    expect(records.map(keyText)).toEqual(["9007199254740993", "1000", "5"]);
  });

  it("from any table of integers and texts, as JSON that means the same", async () => {
    const row = fc.record({
      n: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
      s: fc.string({ unit: "grapheme" }),
    });
    const rows = fc.array(row, { minLength: 1, maxLength: 30 });
    let run = 0;
    await fc.assert(
      fc.asyncProperty(rows, async (wanted) => {
        const values = wanted.map(({ n, s }) => `((${n})::BIGINT, '${s.replaceAll("\0", "0").replaceAll("'", "''")}')`);
        const file = await parquetOf(`SELECT * FROM (VALUES ${values.join(", ")}) v(n, s)`);
        const topic = `t${run++}`;
        await produce({ file, topic });
        const records = await readAll(log, await log.describeTopic(topic), 0);
        const read = records.map((r) => JSON.parse(textOf(r).replace(/^\{"n":(-?\d+),/, '{"n":"$1",')));
        expect(read).toEqual(wanted.map(({ n, s }) => ({ n: String(n), s: s.replaceAll("\0", "0") })));
      }),
      { numRuns: 20, endOnFailure: true },
    );
  });
});

describe("keys, places and times", () => {
  it("several key columns make a JSON array, and a null key has none", async () => {
    const csv = "a,b\nx,1\n,2\n";
    await produce({ file: await fileWith("x.csv", csv), keyColumns: ["a", "b"] });
    await produce({ file: await fileWith("y.csv", csv), keyColumns: ["a"] });
    expect((await held()).map(keyText)).toEqual(['["x",1]', "[null,2]", "x", null]);
  });

  it("a record goes where Kafka's partitioner puts its key, in the file's order", async () => {
    const file = await parquetOf("SELECT i, 'k' || (i % 50) AS k FROM range(20000) r(i) ORDER BY i");
    expect(await produce({ file, keyColumns: ["k"], partitions: 5 })).toMatchObject({ rows: 20000, totalRows: 20000 });
    const topic = await log.describeTopic("t");
    let count = 0;
    for (let p = 0; p < 5; p++) {
      let before = -1;
      for (const r of await readAll(log, topic, p)) {
        const { i, k } = JSON.parse(textOf(r)) as { i: number; k: string };
        expect(partitionOf(Buffer.from(k), 0, 5)).toBe(p);
        expect(i).toBeGreaterThan(before);
        before = i;
        count++;
      }
    }
    expect(count).toBe(20000);
  });

  it("the timestamp is the column's, the fixed one, or the time of loading", async () => {
    const file = await fileWith("x.jsonl", '{"at":"2001-01-01T00:00:00.5+01:00"}\n');
    await produce({ file, timestampColumn: "at" });
    await produce({ file, fixedTimestampMs: 5 });
    await produce({ file });
    const csv = await fileWith("x.csv", "at\n2001-01-01 10:00:00\n");
    await produce({ file: csv, timestampColumn: "at" });
    const times = (await held()).map((r) => r.timestampMs);
    expect(times).toEqual([Date.UTC(2000, 11, 31, 23, 0, 0, 500), 5, NOW, Date.UTC(2001, 0, 1, 10)]);
  });

  it("a file's name is no pattern", async () => {
    await fileWith("a1.csv", "n\n1\n");
    expect(await produce({ file: await fileWith("a[1].csv", "n\n2\n") })).toMatchObject({ rows: 1 });
    expect((await held()).map(textOf)).toEqual(['{"n":2}']);
  });
});

describe("a load that is resumed", () => {
  const lines = Array.from({ length: 500 }, (_, i) => `{"i":${i},"k":"k${i % 17}"}\n`).join("");

  it.each([["k"], [undefined]])(
    "after any part of it brings each record once, where it belongs (key %s)",
    async (key) => {
      const file = await fileWith("x.jsonl", lines);
      const options = { file, partitions: 4, ...(key === undefined ? {} : { keyColumns: [key] }) };
      await produce({ ...options, topic: "whole" });
      const topics = { whole: await log.describeTopic("whole"), t: await writer.createTopic("t", 4) };
      for (const limit of [0, 3, 3, 201, 499]) await produce({ ...options, limit, resume: true });
      expect(await produce({ ...options, resume: true })).toMatchObject({ rows: 500 });
      const again = await produce({ ...options, resume: true });
      expect(again).toMatchObject({ rows: 500, bytes: 0 });
      for (let p = 0; p < 4; p++) {
        const whole = await readAll(log, topics.whole, p);
        const resumed = await readAll(log, topics.t, p);
        expect(resumed.map(textOf)).toEqual(whole.map(textOf));
      }
    },
  );

  it("with only some partitions written goes on in each where it stopped", async () => {
    const file = await fileWith("x.jsonl", lines);
    await produce({ file, partitions: 4, keyColumns: ["k"], topic: "whole" });
    const whole = await log.describeTopic("whole");
    await writer.createTopic("t", 4);
    for (const [p, count] of [
      [1, 20],
      [3, 1],
    ] as const) {
      await writer.append("t", p, (await readAll(log, whole, p)).slice(0, count));
    }
    await writer.flush();
    await produce({ file, partitions: 4, keyColumns: ["k"], resume: true });
    const topic = await log.describeTopic("t");
    for (let p = 0; p < 4; p++) {
      expect((await readAll(log, topic, p)).map(textOf)).toEqual((await readAll(log, whole, p)).map(textOf));
    }
  });

  it("from another file is refused", async () => {
    await produce({ file: await fileWith("x.jsonl", lines), keyColumns: ["k"], limit: 20 });
    const other = await fileWith("y.jsonl", lines.replaceAll('"i":', '"j":'));
    await expect(produce({ file: other, keyColumns: ["k"], resume: true })).rejects.toMatchObject({
      id: "invalid-request",
    });
    const shorter = await fileWith("z.jsonl", lines.split("\n").slice(0, 3).join("\n"));
    await expect(produce({ file: shorter, keyColumns: ["k"], resume: true })).rejects.toMatchObject({
      id: "invalid-request",
    });
    expect(await held()).toHaveLength(20);
  });

  it("is stopped by its signal and loses nothing that it told", async () => {
    const file = await fileWith("x.jsonl", lines);
    const abort = new AbortController();
    abort.abort();
    await expect(produce({ file, signal: abort.signal })).rejects.toMatchObject({ id: "cancelled" });
    expect(await produce({ file, resume: true })).toMatchObject({ rows: 500 });
    expect(await held()).toHaveLength(500);
  });
});

it("sends rows in the topic's format, and ends at one that it cannot hold, with all before it durable", async () => {
  const file = await fileWith("rows.jsonl", '{"id":1}\n{"id":2}\n{"id":"x"}\n{"id":4}\n');
  const schema = { text: '{"type":"record","name":"R","fields":[{"name":"id","type":"long"}]}' };
  const encode = valueEncoder({ format: "Avro", schema }, [{ name: "id", type: "INT64", nullable: false }]);
  await expect(produce({ file, encode })).rejects.toMatchObject({
    id: "bad-input-file",
    message: expect.stringContaining('row 3: field "id"'),
  });
  expect((await held()).map(({ value }) => [...value!])).toEqual([[2], [4]]);
});
