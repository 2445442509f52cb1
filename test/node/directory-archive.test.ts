import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { directFiles } from "../../src/archive/direct-files.ts";
import type { Archive } from "../../src/node/archive/archive.ts";
import { archiveShard } from "../../src/node/archive/archive-shard.ts";
import { archivedShards } from "../../src/node/archive/archived-shards.ts";
import { DirectoryArchive } from "../../src/node/archive/directory-archive.ts";
import { restoreSnapshot } from "../../src/node/archive/restore-snapshot.ts";
import { frozenShard, manifestText } from "../../src/node/frozen-shard.ts";
import { ShardDirectory } from "../../src/node/snapshot/shard-directory.ts";
import { sha256Of } from "../../src/process/file-digest.ts";
import { segmentsOf } from "../../src/seal/segment-files.ts";
import { SegmentSchema, ShardManifestSchema } from "../../src/wire/generated/skynetes/v1/seal_pb.ts";
import { testDirectory } from "./node-fixture.ts";

/** A frozen shard whose segments have these contents. */
function frozenOf(snapshot: string, contents: readonly string[], position = 0n) {
  const segments = contents.map((text) => ({ sha256: sha256Of(text), bytes: BigInt(text.length), rows: 1n }));
  const cut = { positions: [{ topic: "t", topicId: "i", partition: 0, position }] };
  return frozenShard(create(ShardManifestSchema, { mesh: "m", snapshot, cut, tables: [{ name: "t", segments }] }));
}

/** An archive, with a way to put a snapshot of any node into it. */
async function archived() {
  const root = await testDirectory();
  const path = join(root, "archive");
  const writers = new Map<string, DirectoryArchive>();
  /** `node`, run by the process `instance`. */
  const writer = (node = "a", instance = "i") => {
    const known = writers.get(`${node} ${instance}`);
    const made = known ?? new DirectoryArchive({ files: directFiles(path), node, instance, trouble: () => undefined });
    writers.set(`${node} ${instance}`, made);
    return made;
  };
  const put = async (snapshot: string, contents: readonly string[], node = "a", position = 0n) => {
    const archive = writer(node);
    for (const text of contents) {
      await writeFile(join(root, "segment"), text);
      await archive.putObject(sha256Of(text), join(root, "segment"));
    }
    const { manifest } = frozenOf(snapshot, contents, position);
    await archive.putManifest({ shard: 0, snapshot, node }, manifestText(manifest));
  };
  const drop = (snapshot: string) => writer().dropManifest({ shard: 0, snapshot, node: "a" });
  const objects = async () => (await readdir(join(path, "objects"))).sort();
  const manifests = async (snapshot: string) => (await readdir(join(path, "shards/0", snapshot))).sort();
  const local = () => ShardDirectory.open(join(root, "shard-0"));
  return { path, writer, put, drop, objects, manifests, local };
}

const named = (...contents: string[]) => contents.map((text) => sha256Of(text)).sort();
const KEY = { shard: 0, snapshot: "s", node: "a" };

test("a drop takes this node's manifest and the empty directory, and reads no manifest of another snapshot", async () => {
  const { path, put, drop, objects, manifests } = await archived();
  await put("first", ["one", "two"]);
  await put("second", ["two"]);
  await put("second", ["three"], "b");
  // Unreadable, so a drop that looked at it would fail.
  await mkdir(join(path, "shards/0/odd/a.1.manifest.json"), { recursive: true });
  await drop("first");
  await drop("first");
  expect((await readdir(join(path, "shards", "0"))).sort()).toEqual(["odd", "second"]);
  await drop("second");
  expect(await manifests("second")).toEqual(["b.1.manifest.json"]);
  expect(await objects()).toEqual(named("one", "two", "three"));
});

test("what is there already is not copied again", async () => {
  const { put, writer } = await archived();
  await put("s", ["one"]);
  const segment = (text: string, bytes: number) =>
    create(SegmentSchema, { sha256: sha256Of(text), bytes: BigInt(bytes) });
  const wanted = [segment("one", 3), segment("one", 4), segment("two", 3)];
  expect(await writer().missing(wanted.slice(0, 1))).toEqual([]);
  expect(await writer().missing(wanted.slice(1))).toEqual(wanted.slice(1));
});

test("the manifest of the newest writer counts, and one from before there were epochs", async () => {
  const { path, writer } = await archived();
  await mkdir(join(path, "shards/0/s"), { recursive: true });
  const texts = ["old", "one", "two"].map((text) => manifestText(frozenOf("s", [text]).manifest));
  await writeFile(join(path, "shards/0/s/a.manifest.json"), texts[0]!);
  expect((await writer().readManifest(KEY))?.manifestSha256).toBe(sha256Of(texts[0]!));
  await writer("a", "i").putManifest(KEY, texts[1]!);
  await writer("a", "j").putManifest(KEY, texts[2]!);
  expect((await writer().readManifest(KEY))?.manifestSha256).toBe(sha256Of(texts[2]!));
  await writer("a", "j").dropManifest(KEY);
  expect(await readdir(join(path, "shards/0"))).toEqual([]);
});

test("a writer that another has taken over from writes and drops nothing, and says so", async () => {
  const { writer, manifests } = await archived();
  const text = manifestText(frozenOf("s", []).manifest);
  await writer("a", "old").putManifest(KEY, text);
  await writer("a", "new").putManifest(KEY, text);
  const fenced = { id: "fenced", message: expect.stringContaining("new has taken over with epoch 2") };
  await expect(writer("a", "old").putManifest({ ...KEY, snapshot: "t" }, text)).rejects.toMatchObject(fenced);
  await expect(writer("a", "old").dropManifest(KEY)).rejects.toMatchObject(fenced);
  expect(writer("a", "old").fenced(0)).toContain("two nodes run under one name");
  expect(writer("a", "new").fenced(0)).toBeUndefined();
  expect(await manifests("s")).toEqual(["a.1.manifest.json", "a.2.manifest.json"]);
  // Another replica of the shard is fenced by neither.
  await writer("b").putManifest({ ...KEY, node: "b" }, text);
});

test("a manifest is archived after all its objects, and they are looked for again after it", async () => {
  const frozen = frozenOf("s", ["one", "two"]);
  const done: string[] = [];
  const archive = {
    missing: async () => segmentsOf(frozen.manifest),
    putObject: async (sha256: string) => void done.push(sha256),
    readManifest: async () => undefined,
    putManifest: async () => void done.push("manifest"),
  } as unknown as Archive;
  const directory = await ShardDirectory.open(join(await testDirectory(), "shard-0"));
  await archiveShard(archive, KEY, frozen, directory);
  const objects = [sha256Of("one"), sha256Of("two")];
  expect(done).toEqual([...objects, "manifest", ...objects]);
});

test("an archive that cannot be read now is not taken for one without a manifest", async () => {
  const { put, writer, path, local, manifests } = await archived();
  await put("s", []);
  await rm(join(path, "shards/0/s/a.1.manifest.json"));
  await mkdir(join(path, "shards/0/s/a.1.manifest.json"));
  const archiving = archiveShard(writer(), KEY, frozenOf("s", []), await local());
  await expect(archiving).rejects.toMatchObject({ id: "archive-unavailable" });
  expect(await manifests("s")).toEqual(["a.1.manifest.json"]);
});

test("a shard's snapshots are listed from any node's copy, most of the log first, and only when they are whole", async () => {
  const { path, put, writer } = await archived();
  await put("early", ["one"], "a", 10n);
  await put("late", ["one", "two"], "b", 30n);
  await put("middle", ["three"], "a", 20n);
  await put("lost", ["four"], "a", 40n);
  await put("torn", ["one"], "a", 50n);
  await rm(join(path, "objects", sha256Of("four")));
  await writeFile(join(path, "shards/0/torn/a.1.manifest.json"), '{"mesh": "m", "tab');
  const found = await archivedShards(writer("c"), "m", 0);
  expect(found.map(({ snapshot, node }) => [snapshot, node])).toEqual([
    ["late", "b"],
    ["middle", "a"],
    ["early", "a"],
  ]);
  expect(await archivedShards(writer("c"), "another", 0)).toEqual([]);
  expect(await archivedShards(writer("c"), "m", 1)).toEqual([]);
});

test("a node that has nothing of its own restores another's copy, and its own is tried first", async () => {
  const { path, put, writer, local } = await archived();
  await put("s", ["one"], "a");
  await put("s", ["two"], "b");
  const directory = await local();
  const segments = (frozen: Awaited<ReturnType<typeof restoreSnapshot>>) =>
    segmentsOf(frozen!.manifest).map(({ sha256 }) => sha256);
  expect(segments(await restoreSnapshot(writer("b"), "m", { ...KEY, node: "b" }, directory, "any"))).toEqual(
    named("two"),
  );
  expect(segments(await restoreSnapshot(writer("c"), "m", { ...KEY, node: "c" }, directory, "any"))).toEqual(
    named("one"),
  );
  expect(await readFile(directory.segmentPath(sha256Of("one")), "utf8")).toBe("one");

  expect(await restoreSnapshot(writer("c"), "m", { ...KEY, node: "c" }, directory, "own")).toBeUndefined();

  // Its own is damaged: the other's has the same rows.
  await directory.removeSegment(sha256Of("one"));
  await writeFile(join(path, "objects", sha256Of("one")), "0ne");
  expect(segments(await restoreSnapshot(writer("a"), "m", KEY, directory, "any"))).toEqual(named("two"));
  await directory.removeSegment(sha256Of("two"));
  await rm(join(path, "objects", sha256Of("two")));
  await expect(restoreSnapshot(writer("a"), "m", KEY, directory, "any")).rejects.toMatchObject({ id: "data-corrupt" });
  expect(await restoreSnapshot(writer("a"), "m", { ...KEY, snapshot: "none" }, directory, "any")).toBeUndefined();
});

test("an object that a collector left set aside is fetched all the same", async () => {
  const { path, put, writer, local } = await archived();
  await put("s", ["one"]);
  const object = join(path, "objects", sha256Of("one"));
  await writeFile(`${object}.doomed`, await readFile(object));
  await rm(object);
  const directory = await local();
  await writer().fetchObject(sha256Of("one"), directory.segmentPath(sha256Of("one")));
  expect(await readFile(directory.segmentPath(sha256Of("one")), "utf8")).toBe("one");
});
