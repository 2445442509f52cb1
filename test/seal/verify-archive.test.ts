import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create, toJsonString } from "@bufbuild/protobuf";
import { expect, onTestFinished, test } from "vitest";
import { directFiles } from "../../src/archive/direct-files.ts";
import { diskLayer } from "../../src/archive/file-layer.ts";
import { sha256Of } from "../../src/process/file-digest.ts";
import { writeSeal } from "../../src/seal/seal-file.ts";
import { type ArchiveFinding, verifyArchive } from "../../src/seal/verify-archive.ts";
import { SealSchema, ShardManifestSchema } from "../../src/wire/generated/skynetes/v1/seal_pb.ts";

/** Snapshots `s` and `t` of shard 0, sealed, sharing the object `one`; `two` is what `t` removes from it. */
async function archive() {
  const root = await mkdtemp(join(tmpdir(), "skynetes-verify-"));
  onTestFinished(() => rm(root, { recursive: true, force: true }));
  const files = directFiles(root);
  for (const [snapshot, contents] of [
    ["s", ["one"]],
    ["t", ["one", "two"]],
  ] as const) {
    const [segment, removals] = contents.map((text) => ({ sha256: sha256Of(text), bytes: BigInt(text.length) }));
    const segments = [{ ...segment, ...(removals === undefined ? {} : { removals }) }];
    const manifest = create(ShardManifestSchema, { mesh: "m", snapshot, tables: [{ segments }] });
    const text = toJsonString(ShardManifestSchema, manifest);
    for (const content of contents) await files.writeText(`objects/${sha256Of(content)}`, content);
    await files.writeText(`shards/0/${snapshot}/n.1.manifest.json`, text);
    const replicas = [{ node: "n", sha256: sha256Of(text) }];
    await writeSeal(
      files,
      create(SealSchema, { mesh: "m", snapshot, shards: 1, shardSeals: [{ shard: 0, replicas }] }),
    );
  }
  const verify = async (part: { shard?: number; snapshot?: string } = {}) => {
    const findings: ArchiveFinding[] = [];
    const refuse = () => Promise.reject(new Error("a verification writes"));
    const reading = {
      ...diskLayer,
      makeDirectory: refuse,
      rename: refuse,
      removeFile: refuse,
      removeDirectory: refuse,
    };
    const onFinding = (finding: ArchiveFinding) => void findings.push(finding);
    const counts = await verifyArchive({ files: directFiles(root, reading), ...part, onFinding });
    return { counts, found: findings.map(({ kind, path }) => `${kind} ${path}`) };
  };
  const object = (content: string) => `objects/${sha256Of(content)}`;
  return { root, files, verify, object };
}

test("a sound archive has nothing to tell, and each object is read once", async () => {
  const { verify } = await archive();
  expect(await verify()).toEqual({
    counts: { seals: 2, manifests: 2, objects: 2, bytes: 6n, missing: 0, damaged: 0, orphaned: 0 },
    found: [],
  });
});

test("a flipped byte, another size, a missing object and one that nobody names are told", async () => {
  const { root, files, verify, object } = await archive();
  await writeFile(join(root, object("one")), "0ne");
  await files.remove(object("two"));
  await files.writeText(object("three"), "three");
  expect((await verify()).found).toEqual([
    `damaged ${object("one")}`,
    `missing ${object("two")}`,
    `orphaned ${object("three")}`,
  ]);
  await writeFile(join(root, object("one")), "one!");
  expect((await verify({ snapshot: "s" })).found).toEqual([`damaged ${object("one")}`]);
  expect((await verify({ shard: 1 })).found).toEqual([]);
});

test("a damaged seal, a damaged manifest and one that the seal names in vain are told", async () => {
  const { root, verify } = await archive();
  await writeFile(join(root, "snapshots/s.seal.json"), "{");
  await writeFile(join(root, "shards/0/t/n.1.manifest.json"), '{"mesh": "m", "tab');
  const { counts, found } = await verify();
  expect(found).toEqual([
    "damaged snapshots/s.seal.json",
    "missing shards/0/t/n.*",
    "damaged shards/0/t/n.1.manifest.json",
    expect.stringMatching(/^orphaned objects/),
  ]);
  expect(counts).toMatchObject({ missing: 1, damaged: 2, orphaned: 1 });
  expect(await readdir(root)).toHaveLength(3);
});
