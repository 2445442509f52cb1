import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { openEmbeddedLog } from "../../src/log/embedded/embedded-log.ts";
import { openEmbeddedLogWriter } from "../../src/log/embedded/embedded-log-writer.ts";
import { parseRejectLine, rejectLine } from "../../src/produce/reject-line.ts";
import { type ReplayedRecord, replayRejects } from "../../src/produce/replay-rejects.ts";
import { readAll } from "../acceptance/log.suite.ts";
import { temporaryDirectories } from "../log/embedded/log-fixture.ts";

const makeDirectory = temporaryDirectories();
const signal = new AbortController().signal;

const record = (offset: bigint, value: string, partition = 0) => ({
  topic: "t",
  partition,
  offset,
  timestampMs: 5,
  key: null,
  value: Buffer.from(value),
});

async function opened() {
  const directory = join(await makeDirectory(), "log");
  const writer = await openEmbeddedLogWriter(directory);
  await writer.createTopic("t", 2);
  const log = openEmbeddedLog(directory);
  const bad = ["x", "y"].map((value) => ({ key: null, value: Buffer.from(value), timestampMs: 1, headers: [] }));
  for (const partition of [0, 1]) await writer.append("t", partition, bad);
  await writer.flush();
  const values = async (partition: number) => {
    const records = await readAll(log, await log.describeTopic("t"), partition);
    return records.map(({ value }) => Buffer.from(value!).toString());
  };
  const close = async () => {
    await writer.close();
    await log.close();
  };
  return { writer, log, values, close };
}

describe("rejects that are replayed", () => {
  test("are appended to their partitions, once however often it is run, and what is new with it", async () => {
    const { writer, log, values, close } = await opened();
    const first = [record(0n, "mended x"), record(1n, "mended y", 1)];
    expect(await replayRejects({ log, writer, signal }, first)).toEqual({ appended: 2, passed: 0 });
    expect(await replayRejects({ log, writer, signal }, first)).toEqual({ appended: 0, passed: 2 });
    const more = [...first, record(1n, "mended y")];
    expect(await replayRejects({ log, writer, signal }, more)).toEqual({ appended: 1, passed: 2 });
    expect(await values(0)).toEqual(["x", "y", "mended x", "mended y"]);
    expect(await values(1)).toEqual(["x", "y", "mended y"]);
    // One that was mended wrongly is a reject of its own, and is replayed from its own place.
    expect(await replayRejects({ log, writer, signal }, [record(2n, "again")])).toEqual({ appended: 1, passed: 0 });
    await close();
  });

  test("must be in the log", async () => {
    const { writer, log, values, close } = await opened();
    const beyond = replayRejects({ log, writer, signal }, [record(2n, "z")]);
    await expect(beyond).rejects.toMatchObject({
      id: "invalid-request",
      message: expect.stringContaining("ends at 2"),
    });
    expect(await values(0)).toEqual(["x", "y"]);
    await close();
  });
});

describe("a line of a reject", () => {
  test("gives the record back, to the byte", () => {
    const bytes = fc.oneof(
      fc.uint8Array(),
      fc.string({ unit: "grapheme" }).map((text) => Buffer.from(text)),
    );
    fc.assert(
      fc.property(
        fc.record({
          topic: fc.string({ minLength: 1 }),
          partition: fc.nat(),
          offset: fc.bigInt({ min: 0n, max: 2n ** 63n - 1n }),
          timestampMs: fc.integer({ min: 0, max: 253_402_300_799_999 }),
          key: fc.option(bytes),
          value: fc.option(bytes),
        }),
        (row) => {
          const read = parseRejectLine(rejectLine(row, "why"), "f", 1);
          const plain = (r: ReplayedRecord) => ({ ...r, key: r.key && [...r.key], value: r.value && [...r.value] });
          expect(plain(read)).toEqual(plain(row));
        },
      ),
    );
  });

  test.each([
    ["no JSON", "{", "not JSON"],
    ["no object", "[]", "not a JSON object"],
    ["no topic", "{}", "topic is missing"],
    ["an offset that is a number", '{"topic":"t","partition":0,"offset":1}', "offset is no string"],
    ["no time", '{"topic":"t","partition":0,"offset":"1"}', "timestamp"],
    [
      "a key twice",
      '{"topic":"t","partition":0,"offset":"1","timestamp":"2001-01-01T00:00:00Z","key":"a","keyBase64":"YQ=="}',
      "either key",
    ],
    [
      "a value that is an object",
      '{"topic":"t","partition":0,"offset":"1","timestamp":"2001-01-01T00:00:00Z","key":null,"value":{}}',
      "neither text nor null",
    ],
  ])("with %s is refused with its number", (_name, text, what) => {
    const parse = () => parseRejectLine(text, "rejects.jsonl", 7);
    expect(parse).toThrow("line 7");
    expect(parse).toThrow(what);
  });
});
