import { readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { Fault } from "../../src/fault/fault.ts";
import { segmentsOf } from "../../src/seal/segment-files.ts";
import { bindingFake } from "./binding-fake.ts";
import { MemoryLog } from "./memory-log.ts";
import { rowsOfSegments, testDirectory } from "./node-fixture.ts";
import { cutAt, filledLog, runningNode } from "./small-mesh.ts";

describe("bad requests are refused by name", () => {
  test.each(["../../etc", "latest", "", "A", "a/b", "x".repeat(64)])("snapshot id %j", async (id) => {
    const node = await runningNode(await testDirectory(), filledLog(10));
    await expect(node.freeze(id, 0, cutAt(10))).rejects.toMatchObject({ id: "invalid-request" });
    await expect(node.drop(id)).rejects.toMatchObject({ id: "invalid-request" });
  });

  test("a shard that is not here, a cut that leaves a partition out, a snapshot that is not frozen", async () => {
    const node = await runningNode(await testDirectory(), filledLog(10));
    await expect(node.freeze("s", 7, cutAt(10))).rejects.toThrow("node node-a does not hold shard 7");
    const short = { positions: cutAt(10).positions.filter(({ topic }) => topic === "events") };
    await expect(node.freeze("s", 0, short)).rejects.toThrow("no position of places/0");
    await expect(node.bind("s", 0, "127.0.0.1:1")).rejects.toMatchObject({ id: "unknown-snapshot" });
  });
});

describe("ingest never jumps", () => {
  test("records that the log has lost stop the shard with an alarm", async () => {
    const log = filledLog(100);
    log.truncateBefore("events", 0, 10n);
    const node = await runningNode(await testDirectory(), log);
    const status = await node.until(
      () => node.shardStatus(0),
      ({ alarm }) => alarm !== "",
    );
    expect(status.alarm).toContain("log-truncated");
    expect(status.position!.positions.find(({ topic }) => topic === "events")!.position).toBe(0n);
    await node.freeze("s", 1, cutAt(100));
  });

  test("a topic made anew stops the shard with an alarm and its old records stay", async () => {
    const directory = await testDirectory();
    const before = await runningNode(directory, filledLog(100));
    const frozen = await before.freeze("s", 0, cutAt(100));
    await before.close();
    const log = filledLog(300);
    log.createTopic("events", 2, "another-id");
    const node = await runningNode(directory, log);
    const { alarm } = await node.until(
      () => node.shardStatus(0),
      (status) => status.alarm !== "",
    );
    expect(alarm).toContain("topic-recreated");
    expect((await node.freeze("s", 0, cutAt(100))).manifestSha256).toBe(frozen.manifestSha256);
  });

  test("a log that fails for a while, and a topic that comes later, are waited for", async () => {
    const log = new MemoryLog();
    const node = await runningNode(await testDirectory(), log, { shards: [0] });
    log.createTopic("events", 2);
    log.createTopic("places", 1);
    log.failures.push(new Fault("shard-unavailable", "the broker is away"), new Fault("internal", "a socket hung up"));
    log.append("events", 0, [{ value: '{"id":1}' }]);
    const { manifest } = await node.freeze("s", 0, cutAt(1, 0));
    expect(manifest!.tables[0]!.rows).toBe(1n);
    expect((await node.shardStatus(0)).alarm).toBe("");
  });
});

describe("freeze", () => {
  test("poison records are counted in the manifest, up to the cut and no further", async () => {
    const node = await runningNode(await testDirectory(), filledLog(100));
    const half = await node.freeze("half", 0, cutAt(50));
    const whole = await node.freeze("whole", 0, cutAt(100));
    expect([half.manifest!.rejected, whole.manifest!.rejected]).toEqual([5n, 10n]);
    expect(whole.manifest!.tables.map(({ name, rows }) => [name, rows])).toEqual([
      ["events", 90n],
      ["places", 1n],
    ]);
    expect((await node.shardStatus(0)).rejected).toBe(10n);
    expect(await rowsOfSegments(join(node.directory, "shard-0"), whole.manifest!.tables[1]!)).toEqual([
      '["LAX","new"]',
    ]);
  });

  test("asked again it returns the same, also after a restart; another cut under the id is refused", async () => {
    const directory = await testDirectory();
    const node = await runningNode(directory, filledLog(100));
    const frozen = await node.freeze("s", 0, cutAt(100));
    expect(await node.freeze("s", 0, cutAt(100))).toEqual(frozen);
    await expect(node.freeze("s", 0, cutAt(90))).rejects.toMatchObject({ id: "snapshot-conflict" });
    await node.close();
    const again = await runningNode(directory, filledLog(100));
    expect(await again.freeze("s", 0, cutAt(100))).toEqual(frozen);
    await expect(again.freeze("s", 0, cutAt(90))).rejects.toMatchObject({ id: "snapshot-conflict" });
    expect((await again.shardStatus(0)).frozen).toMatchObject([
      { snapshot: "s", manifestSha256: frozen.manifestSha256 },
    ]);
  });

  test("replicas with other batches and other freezes have equal state digests", async () => {
    const directory = await testDirectory();
    const one = await runningNode(directory, filledLog(500), {
      node: "node-a",
      ingest: { batchRowsMax: 7, fetchBytes: 100 },
    });
    const other = await runningNode(directory, filledLog(500), { node: "node-b" });
    for (const events of [400, 100]) await one.freeze(`at-${events}`, 1, cutAt(events));
    const [a, b] = [await one.freeze("s", 1, cutAt(450)), await other.freeze("s", 1, cutAt(450))];
    expect(a.manifest!.stateDigest).toBe(b.manifest!.stateDigest);
    expect(a.manifest!.tables[0]!.segments.length).toBeGreaterThan(b.manifest!.tables[0]!.segments.length);
  });

  test("a node that lost its disk gets its snapshot back from the archive, file for file", async () => {
    const directory = await testDirectory();
    const node = await runningNode(directory, filledLog(100));
    await node.freeze("base", 0, cutAt(60));
    const frozen = await node.freeze("s", 0, cutAt(100));
    await node.close();
    await rm(node.directory, { recursive: true });
    const anew = await runningNode(directory, filledLog(100));
    expect(await anew.freeze("s", 0, cutAt(100))).toEqual(frozen);
    const { address, binds } = await bindingFake();
    await anew.bind("s", 0, address);
    expect(binds).toHaveLength(1);
  });
});

describe("damaged files are mended or refused, never served", () => {
  async function frozenNode() {
    const directory = await testDirectory();
    const node = await runningNode(directory, filledLog(100));
    const frozen = await node.freeze("s", 0, cutAt(100));
    const [segment] = segmentsOf(frozen.manifest!);
    const local = join(node.directory, "shard-0", "segments", `${segment!.sha256}.parquet`);
    const archived = join(directory, "archive", "objects", segment!.sha256);
    return { directory, node, frozen, local, archived };
  }

  const flipBit = async (path: string) => {
    const bytes = await readFile(path);
    bytes[bytes.length >> 1]! ^= 1;
    await writeFile(path, bytes);
  };

  test("a flipped bit is found before the bind and mended from the archive", async () => {
    const { node, local, archived } = await frozenNode();
    await flipBit(local);
    const { address, binds } = await bindingFake();
    await node.bind("s", 0, address);
    expect(binds).toHaveLength(1);
    expect(await readFile(local)).toEqual(await readFile(archived));
  });

  test("a flipped bit here and in the archive refuses the bind and names the file", async () => {
    const { node, local, archived } = await frozenNode();
    await flipBit(local);
    await flipBit(archived);
    const { address, binds } = await bindingFake();
    await expect(node.bind("s", 0, address)).rejects.toMatchObject({
      id: "data-corrupt",
      message: expect.stringContaining(local),
    });
    expect(binds).toHaveLength(0);
  });

  test("a truncated segment is mended at the start", async () => {
    const { directory, node, frozen, local, archived } = await frozenNode();
    await node.close();
    await truncate(local, 100);
    const again = await runningNode(directory, filledLog(100));
    expect(await readFile(local)).toEqual(await readFile(archived));
    expect((await again.shardStatus(0)).frozen).toMatchObject([{ manifestSha256: frozen.manifestSha256 }]);
  });

  test("a segment that is gone everywhere raises an alarm, and a freeze makes it anew from the store", async () => {
    const { directory, node, frozen, local, archived } = await frozenNode();
    await node.close();
    await rm(local);
    await rm(archived);
    const again = await runningNode(directory, filledLog(100));
    const status = await again.shardStatus(0);
    expect(status.frozen).toEqual([]);
    expect(status.alarm).toContain(local);
    const { address, binds } = await bindingFake();
    await expect(again.bind("s", 0, address)).rejects.toMatchObject({ id: "data-corrupt" });
    expect(binds).toHaveLength(0);
    expect((await again.freeze("s", 0, cutAt(100))).manifest!.stateDigest).toBe(frozen.manifest!.stateDigest);
    expect((await again.shardStatus(0)).alarm).toBe("");
    await again.bind("s", 0, address);
  });

  test("a damaged segment that the archive lacks is given up at the bind, and the next freeze makes it anew", async () => {
    const { directory, node, frozen, local, archived } = await frozenNode();
    await flipBit(local);
    await rm(archived);
    const { address, binds } = await bindingFake();
    await expect(node.bind("s", 0, address)).rejects.toMatchObject({ id: "data-corrupt" });
    const status = await node.shardStatus(0);
    expect([status.frozen, status.alarm]).toEqual([[], expect.stringContaining(local)]);
    await node.close();
    const again = await runningNode(directory, filledLog(100));
    expect((await again.shardStatus(0)).frozen).toEqual([]);
    expect((await again.freeze("s", 0, cutAt(100))).manifest!.stateDigest).toBe(frozen.manifest!.stateDigest);
    await again.bind("s", 0, address);
    expect(binds).toHaveLength(1);
    expect((await again.shardStatus(0)).alarm).toBe("");
  });

  test("a freeze that is asked for again makes anew what is damaged here and gone from the archive", async () => {
    const { node, frozen, local, archived } = await frozenNode();
    await flipBit(local);
    await rm(archived);
    expect((await node.freeze("s", 0, cutAt(100))).manifest!.stateDigest).toBe(frozen.manifest!.stateDigest);
    const { address, binds } = await bindingFake();
    await node.bind("s", 0, address);
    expect(binds).toHaveLength(1);
  });

  test("a damaged segment spoils no later snapshot", async () => {
    const { directory, node, frozen } = await frozenNode();
    for (const { sha256 } of segmentsOf(frozen.manifest!)) {
      await flipBit(join(node.directory, "shard-0", "segments", `${sha256}.parquet`));
      await rm(join(directory, "archive", "objects", sha256));
    }
    const later = await node.freeze("later", 0, cutAt(103));
    expect(later.manifest!.tables.map(({ rows }) => rows)).toEqual([90n, 1n]);
    const { address, binds } = await bindingFake();
    await node.bind("later", 0, address);
    expect(binds).toHaveLength(1);
  });

  test("a manifest that cannot be read comes back from the archive", async () => {
    const { directory, node, frozen } = await frozenNode();
    const path = join(node.directory, "shard-0", "snapshots", "s", "manifest.json");
    await node.close();
    await truncate(path, 40);
    const again = await runningNode(directory, filledLog(100));
    expect((await again.shardStatus(0)).frozen).toMatchObject([{ manifestSha256: frozen.manifestSha256 }]);
    expect(await again.freeze("s", 0, cutAt(100))).toEqual(frozen);
  });
});

describe("bind", () => {
  test("the service gets directory, manifest digest and state digest; unbind reaches it too", async () => {
    const node = await runningNode(await testDirectory(), filledLog(20));
    const frozen = await node.freeze("s", 1, cutAt(20));
    const { address, binds, unbinds } = await bindingFake();
    const { bound } = await node.bind("s", 1, address);
    expect(binds).toMatchObject([
      {
        mesh: "small",
        shard: 1,
        snapshot: "s",
        directory: join(node.directory, "shard-1"),
        manifestSha256: frozen.manifestSha256,
        stateDigest: frozen.manifest!.stateDigest,
      },
    ]);
    expect(bound!.stamp!.stateDigest).toBe(frozen.manifest!.stateDigest);
    await node.unbind("s", 1, address);
    expect(unbinds).toMatchObject([{ snapshot: "s", shard: 1 }]);
  });

  test("a service that bound something else is not believed", async () => {
    const node = await runningNode(await testDirectory(), filledLog(20));
    await node.freeze("s", 0, cutAt(20));
    const { address } = await bindingFake("0".repeat(32));
    await expect(node.bind("s", 0, address)).rejects.toMatchObject({ id: "stamp-mismatch" });
  });
});

test("a dropped snapshot takes along only files that no other snapshot names, and its manifest in the archive", async () => {
  const directory = await testDirectory();
  const node = await runningNode(directory, filledLog(100), { shards: [0] });
  await node.freeze("first", 0, cutAt(50));
  const second = await node.freeze("second", 0, cutAt(100));
  await node.drop("first");
  await node.drop("first");
  const kept = segmentsOf(second.manifest!)
    .map(({ sha256 }) => sha256)
    .sort();
  const segments = () => readdir(join(node.directory, "shard-0", "segments"));
  const archived = () => readdir(join(directory, "archive", "shards", "0"));
  expect((await segments()).map((name) => name.replace(".parquet", "")).sort()).toEqual(kept);
  expect(await archived()).toEqual(["second"]);
  const { address } = await bindingFake();
  await node.bind("second", 0, address);
  await node.drop("second");
  expect([await segments(), await archived()]).toEqual([[], []]);
  expect((await node.shardStatus(0)).frozen).toEqual([]);
});
