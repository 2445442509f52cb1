import { readdirSync, readlinkSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { openEmbeddedLog } from "../../src/log/embedded/embedded-log.ts";
import { openEmbeddedLogWriter } from "../../src/log/embedded/embedded-log-writer.ts";

const directory = await mkdtemp(join(tmpdir(), "skynetes-log-"));
afterAll(() => rm(directory, { recursive: true, force: true }));

const openIn = (folder: string) =>
  readdirSync("/proc/self/fd").filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith(folder);
    } catch {
      return false;
    }
  }).length;

// Two shards of a node read the same broadcast partition: each first look opened the bound file, and all but the last
// handle were left to the garbage collector.
test.runIf(process.platform === "linux")("readers that look at once open the bound file once", async () => {
  const writer = await openEmbeddedLogWriter(directory);
  await writer.createTopic("airports", 1);
  const before = openIn(directory);
  const log = openEmbeddedLog(directory);
  await Promise.all(Array.from({ length: 8 }, () => log.bounds("airports", 0)));
  expect(openIn(directory) - before).toBe(1);
  await log.close();
  expect(openIn(directory) - before).toBe(0);
  await writer.close();
});
