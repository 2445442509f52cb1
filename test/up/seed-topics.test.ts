import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { encodeBound } from "../../src/log/embedded/bound-file.ts";
import { openEmbeddedLogWriter } from "../../src/log/embedded/embedded-log-writer.ts";
import { openMeshLog } from "../../src/log/open-log.ts";
import { systemClock } from "../../src/process/clock.ts";
import { ControlStore } from "../../src/up/control/control-store.ts";
import { dataDirectory } from "../../src/up/control/data-directory.ts";
import { createTopics } from "../../src/up/data/seed-topics.ts";
import { manifestFixture } from "./mesh-fixture.ts";

const manifest = manifestFixture({
  topics: [{ name: "flights", partitions: 2, format: "JSON", timestamps: "NonDecreasing", seed: undefined }],
});
const RECORDS = 72;

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "skynetes-seed-"));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

/** A log whose records are all acknowledged; `partition(i, name)` is a file of it. */
async function writtenLog() {
  const logDirectory = join(root, "log");
  const writer = await openEmbeddedLogWriter(logDirectory);
  await writer.createTopic("flights", 2);
  const records = Array.from({ length: RECORDS }, (_, i) => ({
    key: null,
    value: Buffer.from(`{"i":${i}}`),
    timestampMs: i,
    headers: [],
  }));
  for (const partition of [0, 1]) await writer.append("flights", partition, records);
  await writer.flush();
  const partition = (i: number, name: string) => join(logDirectory, "flights", String(i), name);
  return { logDirectory, writer, partition };
}

async function start(logDirectory: string) {
  const place = { embeddedDirectory: logDirectory, manifestDirectory: root, environment: {}, clock: systemClock };
  const meshLog = await openMeshLog(undefined, place);
  const { log } = meshLog;
  const lines: string[] = [];
  await createTopics({
    manifest,
    store: ControlStore.open(dataDirectory(root), manifest.mesh, 0),
    meshLog,
    clock: systemClock,
    report: { line: (level: string, text: string) => lines.push(`${level}: ${text}`) } as never,
    onProgress: () => {},
  });
  const bounds = async () => [(await log.bounds("flights", 0)).bound, (await log.bounds("flights", 1)).bound];
  return { lines, bounds };
}

test("a log that a power cut left with a bound too low, or none to be read, has all of its records again", async () => {
  const { logDirectory, writer, partition } = await writtenLog();
  await writer.close();
  writeFileSync(partition(0, "bound"), encodeBound({ start: 0n, bound: 0n }));
  writeFileSync(partition(1, "bound"), Buffer.alloc(24));
  const { bounds } = await start(logDirectory);
  expect(await bounds()).toEqual([72n, 72n]);
});

test("whoever writes to the log at this moment keeps no mesh from starting", async () => {
  const { logDirectory, writer } = await writtenLog();
  const { lines, bounds } = await start(logDirectory);
  expect(await bounds()).toEqual([72n, 72n]);
  expect(lines).toEqual([expect.stringContaining("info: check the log:")]);
  await writer.close();
});

test("a damaged log is told, and keeps nobody from what is frozen already", async () => {
  const { logDirectory, writer, partition } = await writtenLog();
  await writer.close();
  const segment = partition(0, "00000000000000000000.log");
  const bytes = readFileSync(segment);
  bytes[bytes.length >> 1]! ^= 1;
  writeFileSync(segment, bytes);
  const { lines } = await start(logDirectory);
  expect(lines).toEqual([expect.stringContaining(`error: check the log: read log: ${segment}`)]);
});
