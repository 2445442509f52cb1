import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create, toBinary } from "@bufbuild/protobuf";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { expect, onTestFinished, test } from "vitest";
import { sealFile } from "../../src/archive/archive-layout.ts";
import { directFiles } from "../../src/archive/direct-files.ts";
import { readSeal, removeSeal, writeSeal } from "../../src/seal/seal-file.ts";
import { type FrozenReplica, type SealInput, sealOf } from "../../src/seal/seal-of.ts";
import { CutSchema, SealSchema, ShardManifestSchema } from "../../src/wire/generated/skynetes/v1/seal_pb.ts";

const position = (partition: number, at: bigint) => ({ topic: "events", topicId: "t1", partition, position: at });
const CUT = create(CutSchema, { positions: [position(0, 10n), position(1, 20n)] });

function replica(
  node: string,
  shard: number,
  more: { digest?: string; at?: bigint; bytes?: bigint } = {},
): FrozenReplica {
  const rows = BigInt(shard + 1);
  const segments = [{ sha256: "00", rows, bytes: more.bytes ?? 100n }];
  return {
    node,
    manifestSha256: `manifest-of-${node}-${shard}`,
    manifest: create(ShardManifestSchema, {
      mesh: "m",
      shard,
      snapshot: "s",
      cut: { positions: [position(shard, more.at ?? BigInt(10 * (shard + 1)))] },
      stateDigest: more.digest ?? `digest-${shard}`,
      rejected: 3n,
      tables: [
        { name: "events", rows, segments, statistics: [{ column: "id", nulls: 0n, min: "1", max: "9" }] },
        { name: "places", rows: 5n, broadcast: true, segments },
      ],
    }),
  };
}

const input = (replicas: FrozenReplica[]): SealInput => ({
  mesh: "m",
  snapshot: "s",
  shards: 2,
  cut: CUT,
  createdAtMs: 1_000,
  asOfMs: 500,
  inexactTopics: ["b", "a"],
  replicas,
});

test("a seal tells rows, bytes, rejects and statistics of each shard, whatever the order the nodes answered in", () => {
  const replicas = [replica("node-b", 0, { bytes: 999n }), replica("node-a", 1), replica("node-a", 0)];
  const seal = sealOf(input(replicas));
  expect(
    seal.shardSeals.map(({ shard, rows, broadcastRows, bytes, rejected }) => [
      shard,
      rows,
      broadcastRows,
      bytes,
      rejected,
    ]),
  ).toEqual([
    [0, 1n, 5n, 200n, 3n],
    [1, 2n, 5n, 200n, 3n],
  ]);
  expect(seal.shardSeals[0]!.replicas.map(({ node }) => node)).toEqual(["node-a", "node-b"]);
  expect(seal.shardSeals[0]!.tables.map(({ table, columns }) => [table, columns[0]!.min])).toEqual([["events", "1"]]);
  expect([timestampMs(seal.createdAt!), timestampMs(seal.asOf!), seal.inexactTopics]).toEqual([1_000, 500, ["a", "b"]]);
  expect(toBinary(SealSchema, sealOf(input([...replicas].reverse())))).toEqual(toBinary(SealSchema, seal));
});

test("replicas with different rows are refused by name", () => {
  const replicas = [replica("node-a", 0), replica("node-b", 0, { digest: "other" }), replica("node-a", 1)];
  expect(() => sealOf(input(replicas))).toThrow(
    expect.objectContaining({
      id: "data-corrupt",
      message: expect.stringMatching(/shard 0 differ: node node-a .* node node-b/),
    }),
  );
});

test("a shard that nobody has frozen, and one frozen at another cut, are refused", () => {
  expect(() => sealOf(input([replica("node-a", 0)]))).toThrow("no node has frozen shard 1");
  const late = [replica("node-a", 0), replica("node-a", 1, { at: 19n })];
  expect(() => sealOf(input(late))).toThrow("has events/1 at 19, the cut at 20");
});

test("a manifest of another snapshot is refused", () => {
  const other = replica("node-a", 1);
  other.manifest.snapshot = "another";
  expect(() => sealOf(input([replica("node-a", 0), other]))).toThrow('is of snapshot "another"');
});

test("a seal is read back with its digest; a changed file is refused and a missing one is missing", async () => {
  const root = await mkdtemp(join(tmpdir(), "skynetes-seal-"));
  onTestFinished(() => rm(root, { recursive: true }));
  const archive = directFiles(root);
  const path = join(root, sealFile("s"));
  await removeSeal(archive, "s");
  expect(await readSeal(archive, "s")).toBeUndefined();
  const seal = sealOf(input([replica("node-a", 0), replica("node-a", 1)]));
  const sha256 = await writeSeal(archive, seal);
  const read = await readSeal(archive, "s", sha256);
  expect(toBinary(SealSchema, read!.seal)).toEqual(toBinary(SealSchema, seal));
  const text = await readFile(path, "utf8");
  await writeFile(path, text.replace('"rows": "2"', '"rows": "3"'));
  await expect(readSeal(archive, "s", sha256)).rejects.toMatchObject({ id: "data-corrupt" });
  await writeFile(path, text.slice(0, 50));
  await expect(readSeal(archive, "s")).rejects.toMatchObject({ id: "data-corrupt" });
  await removeSeal(archive, "s");
  expect(await readSeal(archive, "s", sha256)).toBeUndefined();
});
