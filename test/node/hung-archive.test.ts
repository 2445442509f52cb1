import { execFileSync } from "node:child_process";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { bindingFake } from "./binding-fake.ts";
import { testDirectory } from "./node-fixture.ts";
import { cutAt, filledLog, runningNode } from "./small-mesh.ts";

const LIMITS = { stallMs: 1_000, retryFirstMs: 20, retryMaxMs: 50 };

/** Opening a pipe that nobody writes to hangs in the system, as a network file system does. */
async function makeHang(path: string): Promise<void> {
  await mkdir(join(path, ".."), { recursive: true });
  execFileSync("mkfifo", [path]);
}

const unavailable = expect.objectContaining({ id: "archive-unavailable" });

test("while the archive hangs ingest, binds and files go on, nothing is said to be frozen, and it resumes by itself", async () => {
  const directory = await testDirectory();
  const log = filledLog(100);
  const node = await runningNode(directory, log, { archive: LIMITS, shards: [0] });
  await node.freeze("sealed", 0, cutAt(50));
  const hang = join(directory, "archive/shards/0/s/node-a.9.manifest.json");
  await makeHang(hang);

  // More than Node.js has threads for files.
  for (let i = 0; i < 5; i++) await expect(node.freeze("s", 0, cutAt(100))).rejects.toEqual(unavailable);
  const status = await node.shardStatus(0);
  expect(status.frozen.map(({ snapshot }) => snapshot)).toEqual(["sealed"]);
  expect([status.alarm, status.archiveAlarm]).toEqual(["", expect.stringContaining("no sign of life for 1000 ms")]);
  await writeFile(join(directory, "local"), "written");
  expect(await readFile(join(directory, "local"), "utf8")).toBe("written");
  log.append("events", 0, [{ value: '{"id":1}' }]);
  const ingested = await node.until(
    () => node.shardStatus(0),
    ({ position }) => position!.positions.some(({ topic, position: at }) => topic === "events" && at === 104n),
  );
  expect(ingested.alarm).toBe("");
  const { address, binds } = await bindingFake();
  await node.bind("sealed", 0, address);
  expect(binds).toHaveLength(1);

  await rm(hang);
  const frozen = await node.until(
    () => node.freeze("s", 0, cutAt(100)).catch(() => undefined),
    (answer) => answer !== undefined,
  );
  expect(frozen!.manifest!.snapshot).toBe("s");
  expect((await node.shardStatus(0)).archiveAlarm).toBe("");
});

test("a node starts while its archive hangs, serves what it has, and archives the rest when it can", async () => {
  const directory = await testDirectory();
  const first = await runningNode(directory, filledLog(100), { shards: [0] });
  const { manifestSha256 } = await first.freeze("s", 0, cutAt(100));
  await first.close();
  // It died before the manifest was archived, so to speak.
  await rm(join(directory, "archive/shards/0/s"), { recursive: true });
  const hang = join(directory, "archive/shards/0/s/node-a.9.manifest.json");
  await makeHang(hang);

  const second = await runningNode(directory, filledLog(100), { archive: LIMITS, shards: [0] });
  const { address } = await bindingFake();
  await second.bind("s", 0, address);
  const status = await second.shardStatus(0);
  expect(status.frozen).toMatchObject([{ snapshot: "s", manifestSha256 }]);
  expect(status.archiveAlarm).not.toBe("");

  await rm(hang);
  const archived = join(directory, "archive/shards/0/s/node-a.2.manifest.json");
  const text = await second.until(
    () => readFile(archived, "utf8").catch(() => undefined),
    (found) => found !== undefined,
  );
  expect(JSON.parse(text!)).toMatchObject({ snapshot: "s" });
});

test("two processes under one name: the older one writes nothing more to the archive and says so", async () => {
  const directory = await testDirectory();
  const old = await runningNode(directory, filledLog(100), { shards: [0] });
  await old.freeze("s", 0, cutAt(50));
  const dataDirectory = join(directory, "nodes", "another-disk");
  const taking = await runningNode(directory, filledLog(100), { shards: [0], dataDirectory });
  await taking.freeze("t", 0, cutAt(60));
  await expect(old.freeze("u", 0, cutAt(70))).rejects.toMatchObject({ id: "fenced" });
  const status = await old.shardStatus(0);
  expect(status.alarm).toContain("has taken over with epoch 2");
  expect(status.frozen.map(({ snapshot }) => snapshot)).toEqual(["s"]);
  await taking.freeze("u", 0, cutAt(70));
});
