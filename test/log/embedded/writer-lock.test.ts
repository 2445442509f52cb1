import { mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import { openEmbeddedLogWriter } from "../../../src/log/embedded/embedded-log-writer.ts";
import { faultOf, record } from "../../acceptance/log.suite.ts";
import { temporaryDirectories } from "./log-fixture.ts";

const makeDirectory = temporaryDirectories();
const DEAD = { pid: 2 ** 30, began: null, released: false };

async function withLock(number: number, content: unknown): Promise<{ directory: string; locks: string }> {
  const directory = await makeDirectory();
  const locks = join(directory, ".writer");
  await mkdir(locks);
  await writeFile(join(locks, `${number}.lock`), typeof content === "string" ? content : JSON.stringify(content));
  return { directory, locks };
}

it("a living process's lock is kept, and its pid is told", async () => {
  const { directory } = await withLock(3, { ...DEAD, pid: process.pid });
  await expect(openEmbeddedLogWriter(directory)).rejects.toMatchObject({
    id: "store-locked",
    message: expect.stringContaining(`process ${process.pid} `),
  });
});

it("a lock whose pid was given to another process is taken over", async () => {
  const { directory, locks } = await withLock(3, { ...DEAD, pid: process.pid, began: "another boot:1" });
  const writer = await openEmbeddedLogWriter(directory);
  expect(await readdir(locks)).toEqual(["4.lock"]);
  await writer.close();
});

it("of many who take over a dead holder's lock at once, one writes", async () => {
  for (let round = 0; round < 10; round++) {
    const { directory, locks } = await withLock(1, DEAD);
    const all = await Promise.allSettled(Array.from({ length: 8 }, () => openEmbeddedLogWriter(directory)));
    const writers = all.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
    expect(writers).toHaveLength(1);
    for (const result of all) if (result.status === "rejected") expect(result.reason.id).toBe("store-locked");
    await writers[0]!.close();
    expect(await readdir(locks)).toEqual(["2.lock"]);
  }
});

it("a writer whose lock another took acknowledges nothing more", async () => {
  const directory = await makeDirectory();
  const writer = await openEmbeddedLogWriter(directory);
  await writer.createTopic("t", 1);
  await writeFile(join(directory, ".writer", "9.lock"), JSON.stringify(DEAD));
  await writer.append("t", 0, [record(1)]);
  expect(await faultOf(writer.flush())).toBe("fenced");
  expect(await faultOf(writer.append("t", 0, [record(2)]))).toBe("fenced");
  await writer.close();
});

it("a lock that cannot be read is left alone and named", async () => {
  const { directory, locks } = await withLock(1, "not a lock");
  const path = join(locks, "1.lock");
  await expect(openEmbeddedLogWriter(directory)).rejects.toMatchObject({
    id: "store-locked",
    message: expect.stringContaining(path),
  });
  await rm(path);
  await (await openEmbeddedLogWriter(directory)).close();
});
