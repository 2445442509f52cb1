import {
  cp,
  type FileHandle,
  open,
  readdir,
  readFile,
  readlink,
  rename,
  rm,
  stat,
  truncate,
  writeFile,
} from "node:fs/promises";
import { basename, join } from "node:path";
import fc from "fast-check";
import { describe, expect, it, type MockInstance, onTestFinished, vi } from "vitest";
import { openEmbeddedLog } from "../../../src/log/embedded/embedded-log.ts";
import { openEmbeddedLogWriter } from "../../../src/log/embedded/embedded-log-writer.ts";
import { readBatchHeader } from "../../../src/log/embedded/record-batch.ts";
import type { LogRecord } from "../../../src/log/log.ts";
import { faultOf, readAll, record, requestFor, textOf } from "../../acceptance/log.suite.ts";
import { temporaryDirectories } from "./log-fixture.ts";

const makeDirectory = temporaryDirectories();
const FIRST_SEGMENT = "00000000000000000000.log";

/** A log of `batches` batches of three records in one segment, and where its parts are. */
async function written({ batches, segmentBytes = 1_000_000 }: { batches: number; segmentBytes?: number }) {
  const directory = await makeDirectory();
  const writer = await openEmbeddedLogWriter(directory, { segmentBytes });
  const topic = await writer.createTopic("t", 1);
  for (let i = 0; i < batches; i++) {
    await writer.append("t", 0, [record(3 * i), record(3 * i + 1), record(3 * i + 2)]);
    await writer.flush();
  }
  await writer.close();
  const partition = join(directory, "t", "0");
  const names = (await readdir(partition)).filter((name) => name.endsWith(".log")).sort();
  return {
    directory,
    topic,
    partition,
    bound: join(partition, "bound"),
    segments: names.map((n) => join(partition, n)),
  };
}

/** A log whose last batch was written whole but never acknowledged: the bound is the one before it. */
async function withUnacknowledgedBatch() {
  const directory = await makeDirectory();
  const writer = await openEmbeddedLogWriter(directory);
  const topic = await writer.createTopic("t", 1);
  const partition = join(directory, "t", "0");
  await writer.append("t", 0, [record(0), record(1)]);
  await writer.flush();
  const segment = join(partition, FIRST_SEGMENT);
  const bound = await readFile(join(partition, "bound"));
  const acknowledgedBytes = (await stat(segment)).size;
  await writer.append("t", 0, [record(2), record(3), record(4)]);
  await writer.close();
  await writeFile(join(partition, "bound"), bound);
  return { directory, topic, partition, segment, acknowledgedBytes, bytes: await readFile(segment), bound };
}

describe("a torn tail, never acknowledged,", () => {
  it("is cut off at every byte boundary and reported, and what was acknowledged is all there", async () => {
    const torn = await withUnacknowledgedBatch();
    for (let size = torn.acknowledgedBytes; size < torn.bytes.length; size++) {
      await writeFile(torn.segment, torn.bytes.subarray(0, size));
      await writeFile(join(torn.partition, "bound"), torn.bound);
      const writer = await openEmbeddedLogWriter(torn.directory);
      const dropped = size - torn.acknowledgedBytes;
      const repair = { file: torn.segment, position: torn.acknowledgedBytes, bytesDropped: dropped };
      expect(writer.repairs).toEqual(dropped === 0 ? [] : [repair]);
      expect(await writer.append("t", 0, [record(7)])).toBe(2n);
      await writer.close();
      expect(await textsOf(torn)).toEqual(["0", "1", "7"]);
    }
  });

  it("is cut off when any one of its bits is wrong", async () => {
    const torn = await withUnacknowledgedBatch();
    const place = fc.integer({ min: torn.acknowledgedBytes * 8, max: torn.bytes.length * 8 - 1 });
    await fc.assert(
      fc.asyncProperty(place, async (bit) => {
        await writeFile(torn.segment, flipped(torn.bytes, bit));
        await writeFile(join(torn.partition, "bound"), torn.bound);
        const writer = await openEmbeddedLogWriter(torn.directory);
        expect(writer.repairs).toHaveLength(1);
        await writer.close();
        expect(await textsOf(torn)).toEqual(["0", "1"]);
      }),
      { numRuns: 60 },
    );
  });

  it("is never seen by a reader", async () => {
    const torn = await withUnacknowledgedBatch();
    await writeFile(torn.segment, torn.bytes.subarray(0, torn.bytes.length - 5));
    expect(await textsOf(torn)).toEqual(["0", "1"]);
  });

  it("is kept when it is whole: the records were on their way", async () => {
    const torn = await withUnacknowledgedBatch();
    const writer = await openEmbeddedLogWriter(torn.directory);
    expect(writer.repairs).toEqual([]);
    expect(await textsOf(torn)).toEqual(["0", "1", "2", "3", "4"]);
    await writer.close();
  });
});

describe("damage to acknowledged records", () => {
  it("in any bit is refused by writer and reader, naming file and position, and nothing is cut off", async () => {
    const log = await written({ batches: 6 });
    const [segment] = log.segments;
    const whole = await readFile(segment!);
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: whole.length * 8 - 1 }), async (bit) => {
        const damaged = flipped(whole, bit);
        await writeFile(segment!, damaged);
        await expect(openEmbeddedLogWriter(log.directory)).rejects.toMatchObject({
          id: "log-corrupt",
          message: expect.stringMatching(new RegExp(`${FIRST_SEGMENT} at byte \\d+: `)),
        });
        expect((await readFile(segment!)).equals(damaged)).toBe(true);
        expect(await faultOf(textsOf(log))).toBe("log-corrupt");
      }),
      { numRuns: 80 },
    );
    await writeFile(segment!, whole);
    expect(await textsOf(log)).toHaveLength(18);
  });

  it("is named with the position of the damaged batch, and batches before it are still read", async () => {
    const log = await written({ batches: 3 });
    const [segment] = log.segments;
    const whole = await readFile(segment!);
    const first = readBatchHeader(whole, 0)!.byteLength;
    await writeFile(segment!, flipped(whole, 8 * (first + 60)));
    const reader = openEmbeddedLog(log.directory);
    const message = expect.stringContaining(`at byte ${first}`);
    await expect(reader.fetch(requestFor(log.topic, { offset: 3n }))).rejects.toMatchObject({ message });
    await expect(openEmbeddedLogWriter(log.directory)).rejects.toMatchObject({ message });
    expect((await reader.fetch(requestFor(log.topic, { maxBytes: 1 }))).records.map(textOf)).toEqual(["0", "1", "2"]);
    await reader.close();
  });

  it.each([1, 40, 200])("is seen when the file lost its last %i bytes", async (bytes) => {
    const log = await written({ batches: 4 });
    const [segment] = log.segments;
    await truncate(segment!, (await stat(segment!)).size - bytes);
    await expect(openEmbeddedLogWriter(log.directory)).rejects.toMatchObject({
      id: "log-corrupt",
      message: expect.stringContaining("records up to 12 were acknowledged"),
    });
    expect(await faultOf(textsOf(log))).toBe("log-corrupt");
  });

  it("is seen when a whole batch is gone from the end", async () => {
    const log = await written({ batches: 2 });
    const [segment] = log.segments;
    await truncate(segment!, readBatchHeader(await readFile(segment!), 0)!.byteLength);
    expect(await faultOf(openEmbeddedLogWriter(log.directory))).toBe("log-corrupt");
  });

  it("is seen when any segment is missing", async () => {
    const log = await written({ batches: 12, segmentBytes: 160 });
    expect(log.segments.length).toBeGreaterThan(3);
    for (const segment of log.segments) {
      await rename(segment, `${segment}.away`);
      expect(await faultOf(openEmbeddedLogWriter(log.directory))).toBe("log-corrupt");
      expect(await faultOf(textsOf(log))).toBe("log-corrupt");
      await rename(`${segment}.away`, segment);
    }
    expect(await textsOf(log)).toHaveLength(36);
  });

  it("in an earlier segment is no torn tail, whatever the bound says", async () => {
    const log = await written({ batches: 12, segmentBytes: 160 });
    await rm(log.bound);
    await truncate(log.segments[1]!, (await stat(log.segments[1]!)).size - 1);
    expect(await faultOf(openEmbeddedLogWriter(log.directory))).toBe("log-corrupt");
  });
});

describe("without a bound that can be read", () => {
  it("readers refuse, and the next writer finds the end anew", async () => {
    const log = await written({ batches: 3 });
    await writeFile(log.bound, Buffer.alloc(24, 7));
    expect(await faultOf(textsOf(log))).toBe("log-corrupt");
    await (await openEmbeddedLogWriter(log.directory)).close();
    expect(await textsOf(log)).toHaveLength(9);
  });

  it("only the last batch may be bad", async () => {
    const log = await written({ batches: 3 });
    const [segment] = log.segments;
    const whole = await readFile(segment!);
    const first = readBatchHeader(whole, 0)!.byteLength;
    for (const at of [first - 1, first, first + 9, first + 50]) {
      await rm(log.bound, { force: true });
      await writeFile(segment!, flipped(whole, 8 * at));
      expect(await faultOf(openEmbeddedLogWriter(log.directory))).toBe("log-corrupt");
    }
    await writeFile(segment!, flipped(whole, 8 * (whole.length - 1)));
    const writer = await openEmbeddedLogWriter(log.directory);
    expect(writer.repairs).toHaveLength(1);
    await writer.close();
    expect(await textsOf(log)).toHaveLength(6);
  });
});

it("half a topic, left by a killed writer, is cleared away and can be made again", async () => {
  const log = await written({ batches: 1 });
  const half = join(log.directory, ".creating-half");
  await cp(join(log.directory, "t"), half, { recursive: true });
  const writer = await openEmbeddedLogWriter(log.directory);
  expect(await readdir(log.directory)).not.toContain(".creating-half");
  await writer.close();
});

it("no topic's name leaves the directory", async () => {
  const writer = await openEmbeddedLogWriter(await makeDirectory());
  for (const name of ["..", ".", "", "a/b", "../x", ".creating-x", "a\0b", "x".repeat(250), ".writer"]) {
    expect(await faultOf(writer.createTopic(name, 1))).toBe("invalid-request");
  }
  expect(await faultOf(writer.createTopic("t", 0))).toBe("invalid-request");
  expect(await faultOf(writer.createTopic("t", 1.5))).toBe("invalid-request");
  await writer.close();
});

function flipped(bytes: Buffer, bit: number): Buffer {
  const copy = Buffer.from(bytes);
  copy[bit >>> 3] = copy[bit >>> 3]! ^ (1 << (bit & 7));
  return copy;
}

async function textsOf({ directory, topic }: { directory: string; topic: Parameters<typeof readAll>[1] }) {
  const log = openEmbeddedLog(directory);
  try {
    const records: LogRecord[] = await readAll(log, topic, 0);
    return records.map(textOf);
  } finally {
    await log.close();
  }
}

it("a flush returns when the bound that it wrote is on the disk", async () => {
  const directory = await makeDirectory();
  const writer = await openEmbeddedLogWriter(directory);
  await writer.createTopic("t", 1);
  const done = await calledOnFiles(directory);
  await writer.append("t", 0, [record(0)]);
  await writer.flush();
  const onPartition = done.filter((call) => /(bound|\.log)$/.test(call));
  expect(onPartition).toEqual([`write ${FIRST_SEGMENT}`, `datasync ${FIRST_SEGMENT}`, "write bound", "datasync bound"]);
  await writer.close();
});

/** What is done to open files from now on, in order: `write bound`. */
async function calledOnFiles(directory: string): Promise<string[]> {
  const any = await open(directory, "r");
  const prototype = Object.getPrototypeOf(any) as FileHandle;
  await any.close();
  const done: string[] = [];
  for (const method of ["write", "datasync"] as const) {
    const original = prototype[method] as (...given: unknown[]) => Promise<unknown>;
    const spy = vi.spyOn(prototype, method) as unknown as MockInstance<(...given: unknown[]) => Promise<unknown>>;
    spy.mockImplementation(async function (this: FileHandle, ...given: unknown[]) {
      const result = await original.apply(this, given);
      done.push(`${method} ${basename(await readlink(`/proc/self/fd/${this.fd}`))}`);
      return result;
    });
    onTestFinished(() => spy.mockRestore());
  }
  return done;
}
