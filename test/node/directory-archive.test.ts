import { mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import type { Archive } from "../../src/node/archive/archive.ts";
import { archiveShard } from "../../src/node/archive/archive-shard.ts";
import { DirectoryArchive } from "../../src/node/archive/directory-archive.ts";
import { frozenShard, manifestText } from "../../src/node/frozen-shard.ts";
import { ShardDirectory } from "../../src/node/snapshot/shard-directory.ts";
import { sha256Of } from "../../src/process/file-digest.ts";
import { ShardManifestSchema } from "../../src/wire/generated/skynetes/v1/seal_pb.ts";
import { testDirectory } from "./node-fixture.ts";

/** A frozen shard whose segments have these contents. */
function frozenOf(snapshot: string, contents: readonly string[]) {
  const segments = contents.map((text) => ({ sha256: sha256Of(text), bytes: BigInt(text.length), rows: 1n }));
  return frozenShard(create(ShardManifestSchema, { mesh: "m", snapshot, tables: [{ name: "t", segments }] }));
}

/** An archive of node `a`, with a way to put a snapshot of any node into it. */
async function archived() {
  const root = await testDirectory();
  const path = join(root, "archive");
  const archive = await DirectoryArchive.open(path, "a");
  const put = async (snapshot: string, contents: readonly string[], node = "a") => {
    for (const text of contents) {
      await writeFile(join(root, "segment"), text);
      await archive.putObject(sha256Of(text), BigInt(text.length), join(root, "segment"));
    }
    await archive.putManifest({ shard: 0, snapshot, node }, manifestText(frozenOf(snapshot, contents).manifest));
  };
  const drop = (snapshot: string) => archive.dropManifest({ shard: 0, snapshot, node: "a" });
  const objects = async () => (await readdir(join(path, "objects"))).sort();
  return { path, put, drop, objects };
}

const named = (...contents: string[]) => contents.map((text) => sha256Of(text)).sort();

test("a manifest that cannot be read may name everything, so a drop leaves all objects where they are", async () => {
  const { path, put, drop, objects } = await archived();
  await put("first", ["one", "two"]);
  await put("second", ["two", "three"]);
  await writeFile(join(path, "shards", "0", "second", "a.manifest.json"), '{"mesh": "m", "tab');
  await drop("first");
  expect(await objects()).toEqual(named("one", "two", "three"));
});

test("a drop that fails while it looks for names leaves no object set aside", async () => {
  const { path, put, drop, objects } = await archived();
  await put("first", ["one", "two"]);
  await mkdir(join(path, "shards", "0", "odd", "a.manifest.json"), { recursive: true });
  await expect(drop("first")).rejects.toThrow("EISDIR");
  expect(await objects()).toEqual(named("one", "two"));
});

test("a drop takes along its objects and its directory, but neither another snapshot's nor another node's", async () => {
  const { path, put, drop, objects } = await archived();
  await put("first", ["one", "two"]);
  await put("second", ["two"]);
  await put("second", ["three"], "b");
  await drop("first");
  expect(await objects()).toEqual(named("two", "three"));
  await drop("second");
  expect(await objects()).toEqual(named("three"));
  expect(await readdir(join(path, "shards", "0"))).toEqual(["second"]);
});

test("a node that starts removes the copies that it left half made, and nobody else's", async () => {
  const { path, objects } = await archived();
  const [mine, other] = [`${"0".repeat(64)}.by-a.1.tmp`, `${"0".repeat(64)}.by-ab.1.tmp`];
  for (const name of [mine, other]) await writeFile(join(path, "objects", name), "half");
  await DirectoryArchive.open(path, "a");
  expect(await objects()).toEqual([other]);
});

test("a copy under way has its node's mark in its name", async () => {
  const { put, objects } = await archived();
  const seen = new Set<string>();
  // Large, so that it is copied and compared during many turns.
  let isCopied = false;
  const copied = put("s", ["x".repeat(1 << 25)]).then(() => {
    isCopied = true;
  });
  while (!isCopied) for (const name of await objects()) seen.add(name);
  await copied;
  const temporary = [...seen].filter((name) => name.endsWith(".tmp"));
  expect(temporary).toEqual([expect.stringMatching(/^[0-9a-f]{64}\.by-a\.[^.]+\.tmp$/)]);
});

test("a manifest is archived after all its objects, and they are looked for again after it", async () => {
  const frozen = frozenOf("s", ["one", "two"]);
  const done: string[] = [];
  const archive = {
    putObject: async (sha256: string) => void done.push(sha256),
    readManifest: async () => undefined,
    putManifest: async () => void done.push("manifest"),
  } as unknown as Archive;
  const directory = await ShardDirectory.open(join(await testDirectory(), "shard-0"));
  await archiveShard(archive, { shard: 0, snapshot: "s", node: "a" }, frozen, directory);
  const objects = [sha256Of("one"), sha256Of("two")];
  expect(done).toEqual([...objects, "manifest", ...objects]);
});
