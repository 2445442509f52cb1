import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create, toJsonString } from "@bufbuild/protobuf";
import { expect, onTestFinished, test } from "vitest";
import { sealFile } from "../../src/archive/archive-layout.ts";
import { directFiles } from "../../src/archive/direct-files.ts";
import { systemClock } from "../../src/process/clock.ts";
import { lineLog } from "../../src/process/log-line.ts";
import { emptyControlState } from "../../src/up/control/control-state.ts";
import { keepArchive, ORPHAN_GRACE_MS } from "../../src/up/data/archive-keeper.ts";
import { ShardManifestSchema } from "../../src/wire/generated/skynetes/v1/seal_pb.ts";

test("what retired snapshots left goes after the grace, and nothing that a manifest names or a seal is of", async () => {
  const root = await mkdtemp(join(tmpdir(), "skynetes-keeper-"));
  onTestFinished(() => rm(root, { recursive: true, force: true }));
  const files = directFiles(root);
  const manifest = (sha256: string) =>
    toJsonString(
      ShardManifestSchema,
      create(ShardManifestSchema, { tables: [{ segments: [{ sha256, removals: { sha256: `${sha256}-removals` } }] }] }),
    );
  for (const [snapshot, sha256] of [
    ["alive", "a"],
    ["retired", "b"],
    ["sealed", "c"],
  ] as const) {
    await files.writeText(`objects/${sha256}`, "x");
    await files.writeText(`objects/${sha256}-removals`, "x");
    await files.writeText(`shards/0/${snapshot}/n.1.manifest.json`, manifest(sha256));
  }
  await files.writeText("objects/d", "x");
  await files.writeText(sealFile("sealed"), "{}");

  const stop = new AbortController();
  let nowMs = 0;
  let looks = 0;
  // Each wait is over at once, and half a grace long.
  const clock = {
    ...systemClock,
    now: () => nowMs,
    after: (_ms: number, work: () => void) => {
      if (++looks > 8) stop.abort();
      nowMs += ORPHAN_GRACE_MS / 2;
      setImmediate(work);
      return () => {};
    },
  };
  const state = { ...emptyControlState("m", 1, 0), retired: ["retired", "sealed"] };
  const report = lineLog({ write: () => {}, format: "human", clock: systemClock });
  await keepArchive({ files, store: { state }, clock, report }, stop.signal);
  expect((await readdir(join(root, "objects"))).sort()).toEqual(["a", "a-removals", "c", "c-removals"]);
  expect((await readdir(join(root, "shards/0"))).filter((name) => name !== "retired")).toEqual(["alive", "sealed"]);
});
