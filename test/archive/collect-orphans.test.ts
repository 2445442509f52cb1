import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import type { ArchiveFiles } from "../../src/archive/archive-files.ts";
import { collectOrphans } from "../../src/archive/collect-orphans.ts";
import { directFiles } from "../../src/archive/direct-files.ts";
import { Fault } from "../../src/fault/fault.ts";

const GRACE = 1_000;

/** Manifests are lists of names here. */
function objectsOf(text: string, path: string): readonly string[] {
  if (text === "torn") throw new Fault("data-corrupt", `read ${path}`);
  return text.split(" ").filter((name) => name !== "");
}

async function archive() {
  const root = await mkdtemp(join(tmpdir(), "skynetes-collect-"));
  onTestFinished(() => rm(root, { recursive: true, force: true }));
  const files = directFiles(root);
  const put = (path: string, text = "x") => files.writeText(path, text);
  const collect = (nowMs: number, more: { files?: ArchiveFiles; dryRun?: boolean; forgotten?: string } = {}) =>
    collectOrphans({
      files: more.files ?? files,
      nowMs,
      graceMs: GRACE,
      objectsOf,
      isForgotten: (snapshot) => snapshot === more.forgotten,
      dryRun: more.dryRun ?? false,
    });
  const objects = async () => (await readdir(join(root, "objects"))).sort();
  return { files, put, collect, objects };
}

test("what nobody names is marked, and deleted when it has been nobody's for a whole grace", async () => {
  const { put, collect, objects } = await archive();
  for (const name of ["a", "b", "c.by-n.1.tmp"]) await put(`objects/${name}`);
  await put("shards/0/s/n.1.manifest.json", "a");
  expect(await collect(0)).toEqual({ marked: ["objects/b", "objects/c.by-n.1.tmp"], deleted: [] });
  expect((await collect(GRACE - 1)).deleted).toEqual([]);
  expect((await collect(GRACE, { dryRun: true })).deleted).toHaveLength(2);
  expect(await objects()).toHaveLength(3);
  expect((await collect(GRACE)).deleted.toSorted()).toEqual(["objects/b", "objects/c.by-n.1.tmp"]);
  expect(await objects()).toEqual(["a"]);
});

test("what is named in between begins a new grace when it is nobody's again", async () => {
  const { files, put, collect, objects } = await archive();
  await put("objects/a");
  await collect(0);
  await put("shards/0/s/n.1.manifest.json", "a");
  expect(await collect(GRACE)).toEqual({ marked: [], deleted: [] });
  await files.remove("shards/0/s/n.1.manifest.json");
  expect((await collect(GRACE + 1)).deleted).toEqual([]);
  expect(await objects()).toEqual(["a"]);
});

test("what writers that died left beside seals, epochs and marks goes after the grace, and nothing else there", async () => {
  const { files, put, collect } = await archive();
  const kept = ["snapshots/s.seal.json", "epochs/0/n/1.owner"];
  const left = ["snapshots/s.seal.json.by-n.1.tmp", "epochs/0/n/1.owner.by-n.1.tmp", "collector/marks.json.by-n.1.tmp"];
  for (const path of [...kept, ...left]) await put(path);
  expect((await collect(0)).marked.toSorted()).toEqual(left.toSorted());
  expect((await collect(GRACE)).deleted.toSorted()).toEqual(left.toSorted());
  for (const path of kept) expect(await files.readText(path)).toBe("x");
  expect(await files.list("collector")).toEqual(["marks.json"]);
});

test("an object that is named while it is set aside is put back", async () => {
  const { files, put, collect, objects } = await archive();
  await put("objects/a");
  await collect(0);
  const naming: ArchiveFiles = {
    ...files,
    async rename(from, to) {
      const renamed = await files.rename(from, to);
      if (to.endsWith(".doomed")) await put("shards/0/s/n.1.manifest.json", "a");
      return renamed;
    },
  };
  expect((await collect(GRACE, { files: naming })).deleted).toEqual([]);
  expect(await objects()).toEqual(["a"]);
});

test("what a collector left set aside is put back by the next", async () => {
  const { put, collect, objects } = await archive();
  await put("objects/a.doomed");
  await put("shards/0/s/n.1.manifest.json", "a");
  await collect(0);
  expect(await objects()).toEqual(["a"]);
});

test("a manifest that cannot be read may name everything, so all stays", async () => {
  const { put, collect, objects } = await archive();
  await put("objects/a");
  await collect(0);
  await put("shards/0/s/n.1.manifest.json", "torn");
  await expect(collect(GRACE)).rejects.toMatchObject({ id: "data-corrupt" });
  expect(await objects()).toEqual(["a"]);
});

test("a failure while objects are set aside puts them back", async () => {
  const { files, put, collect, objects } = await archive();
  for (const name of ["a", "b"]) await put(`objects/${name}`);
  await collect(0);
  const failing: ArchiveFiles = {
    ...files,
    remove: () => Promise.reject(new Fault("archive-unavailable", "read-only")),
  };
  await expect(collect(GRACE, { files: failing })).rejects.toMatchObject({ id: "archive-unavailable" });
  expect(await objects()).toEqual(["a", "b"]);
});

test("manifests of forgotten snapshots go after the grace, and their objects a grace later", async () => {
  const { files, put, collect, objects } = await archive();
  await put("objects/a");
  await put("shards/0/gone/n.1.manifest.json", "a");
  await put("shards/0/kept/n.1.manifest.json", "");
  await collect(0, { forgotten: "gone" });
  const { deleted } = await collect(GRACE, { forgotten: "gone" });
  expect(deleted).toEqual(["shards/0/gone/n.1.manifest.json"]);
  expect(await files.list("shards/0/kept")).toHaveLength(1);
  await collect(GRACE + 1, { forgotten: "gone" });
  await collect(2 * GRACE + 1, { forgotten: "gone" });
  expect(await objects()).toEqual([]);
});
