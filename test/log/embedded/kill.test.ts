import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { expect, it } from "vitest";
import { openEmbeddedLog } from "../../../src/log/embedded/embedded-log.ts";
import { openEmbeddedLogWriter } from "../../../src/log/embedded/embedded-log-writer.ts";
import { faultOf, readAll, textOf } from "../../acceptance/log.suite.ts";
import { temporaryDirectories } from "./log-fixture.ts";

const makeDirectory = temporaryDirectories();
const CHILD = join(import.meta.dirname, "writing-child.ts");
const KILLS = 12;

/** A writing process; `told` is the number of records that it last said were durable. */
async function startWriting(directory: string) {
  const child: ChildProcess = spawn(process.execPath, [CHILD, directory], { stdio: ["ignore", "pipe", "inherit"] });
  const state = { child, told: 0, lines: 0 };
  const lines = createInterface({ input: child.stdout! });
  const begun = once(lines, "line");
  lines.on("line", (line) => {
    state.lines++;
    if (line !== "begun") state.told = Number(line);
  });
  await begun;
  return state;
}

async function kill(child: ChildProcess): Promise<void> {
  const gone = once(child, "close");
  child.kill("SIGKILL");
  await gone;
}

it("a writer killed at any moment leaves every flushed record, none twice, none out of order", async () => {
  const directory = await makeDirectory();
  let before = 0;
  for (let round = 0; round < KILLS; round++) {
    const writing = await startWriting(directory);
    // Moments spread over opening, rolling, flushing: not chosen by a clock of the log.
    await new Promise((resolve) => setTimeout(resolve, (round * 37) % 150));
    await kill(writing.child);
    const writer = await openEmbeddedLogWriter(directory);
    const log = openEmbeddedLog(directory);
    const texts = (await readAll(log, await log.describeTopic("t"), 0)).map((r) =>
      Number(textOf(r).replace(/^x+/, "")),
    );
    expect(texts.length).toBeGreaterThanOrEqual(Math.max(writing.told, before));
    expect(texts.every((n, i) => n === i)).toBe(true);
    before = texts.length;
    await log.close();
    await writer.close();
  }
  expect(before).toBeGreaterThan(0);
}, 120_000);

it("a second writer is refused while the first lives, naming its process, and takes over when it is dead", async () => {
  const directory = await makeDirectory();
  const writing = await startWriting(directory);
  await expect(openEmbeddedLogWriter(directory)).rejects.toMatchObject({
    id: "store-locked",
    message: expect.stringContaining(`process ${writing.child.pid} `),
  });
  await kill(writing.child);
  const writer = await openEmbeddedLogWriter(directory);
  expect(await faultOf(openEmbeddedLogWriter(directory))).toBe("store-locked");
  await writer.close();
  await (await openEmbeddedLogWriter(directory)).close();
});

it("readers in this process see only whole records while another process writes", async () => {
  const directory = await makeDirectory();
  const writing = await startWriting(directory);
  const log = openEmbeddedLog(directory);
  const topic = await log.describeTopic("t");
  const signal = AbortSignal.timeout(30_000);
  let offset = 0n;
  while (offset < 3000n) {
    const request = { topic: "t", topicId: topic.id, partition: 0, offset, maxBytes: 5000, maxWaitMs: 5000, signal };
    const { records, nextOffset } = await log.fetch(request);
    for (const r of records) expect(Number(textOf(r).replace(/^x+/, ""))).toBe(Number(offset++));
    expect(nextOffset).toBe(offset);
  }
  await kill(writing.child);
  await log.close();
});
