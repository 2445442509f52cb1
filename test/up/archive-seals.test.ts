import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create, toJsonString } from "@bufbuild/protobuf";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { sealFile } from "../../src/archive/archive-layout.ts";
import { directFiles } from "../../src/archive/direct-files.ts";
import type { Action } from "../../src/lifecycle/action.ts";
import { systemClock } from "../../src/process/clock.ts";
import { sha256Of } from "../../src/process/file-digest.ts";
import { lineLog } from "../../src/process/log-line.ts";
import { ArchiveSeals } from "../../src/up/data/archive-seals.ts";
import { ShardManifestSchema } from "../../src/wire/generated/skynetes/v1/seal_pb.ts";
import { RouteTableSchema } from "../../src/wire/generated/skynetes/v1/table_pb.ts";

const DIGEST = "aa11";
const CUT = { positions: [], fixedAtMs: 1_000, inexactTopics: [] };

let archive: string;
let lines: string[];

beforeEach(() => {
  archive = mkdtempSync(join(tmpdir(), "skynetes-seals-"));
  lines = [];
});
afterEach(() => rmSync(archive, { recursive: true, force: true }));

const opened = () =>
  new ArchiveSeals(
    directFiles(archive),
    { name: "m", shards: 1 },
    lineLog({ write: (text) => lines.push(text), format: "human", clock: systemClock }),
  );

const manifestPath = (node: string) => join(archive, "shards/0/s", `${node}.1.manifest.json`);

/** What a node does when it freezes. */
function freeze(node: string, stateDigest = DIGEST) {
  const manifest = create(ShardManifestSchema, { mesh: "m", shard: 0, snapshot: "s", cut: {}, stateDigest });
  const text = toJsonString(ShardManifestSchema, manifest);
  mkdirSync(join(archive, "shards/0/s"), { recursive: true });
  writeFileSync(manifestPath(node), text);
  return { shard: 0, node, stateDigest, manifestSha256: sha256Of(text) };
}

const seal = (...replicas: ReturnType<typeof freeze>[]): Action & { kind: "seal" } => ({
  kind: "seal",
  snapshot: "s",
  cut: CUT,
  replicas,
});

const tableNaming = (sealSha256: string) => create(RouteTableSchema, { snapshots: [{ id: "s", sealSha256 }] });

async function sealed() {
  const seals = opened();
  const replica = freeze("node-a");
  await seals.write(seal(replica), undefined);
  const [observed] = await seals.list(undefined);
  const text = readFileSync(join(archive, sealFile("s")), "utf8");
  return { seals, replica, text, sha256: observed?.sha256 as string };
}

/** Still JSON, and still a seal. */
const flipDigest = (text: string) => writeFileSync(join(archive, sealFile("s")), text.replace(DIGEST, "ab11"));

describe("a seal that is damaged", () => {
  test("counts as none when it is not what the route table names, and is made anew with the same bytes", async () => {
    const { replica, text, sha256 } = await sealed();
    flipDigest(text);
    const restarted = opened();
    expect(await restarted.list(tableNaming(sha256))).toEqual([]);
    expect(await restarted.list(tableNaming(sha256))).toEqual([]);
    expect(lines.join("").match(/the route table names/g)).toHaveLength(1);

    await restarted.write(seal(replica), undefined);
    expect(await restarted.list(tableNaming(sha256))).toMatchObject([{ sha256, stateDigests: [DIGEST] }]);
    expect(readFileSync(join(archive, sealFile("s")), "utf8")).toBe(text);
  });

  test("may be made anew with more replicas: that one is believed although the table does not name it yet", async () => {
    const { replica, text, sha256 } = await sealed();
    flipDigest(text);
    const restarted = opened();
    await restarted.write(seal(replica, freeze("node-b")), undefined);
    const [observed] = await restarted.list(tableNaming(sha256));
    expect(observed?.sha256).toBe(sha256Of(readFileSync(join(archive, sealFile("s")))));
    expect(observed?.sha256).not.toBe(sha256);
  });

  test("is found while the mesh runs, and another state does not get its id", async () => {
    const { seals, text, sha256 } = await sealed();
    flipDigest(text);
    expect(await seals.list(tableNaming(sha256))).toEqual([]);
    await expect(seals.write(seal(freeze("node-a", "cc33")), undefined)).rejects.toMatchObject({
      id: "data-corrupt",
      message: `seal "s": shard 0 was sealed with state digest ${DIGEST}, its replicas have cc33`,
    });
  });

  test("keeps no other snapshot from being listed", async () => {
    const { text, sha256 } = await sealed();
    writeFileSync(join(archive, sealFile("other")), text.slice(0, 20));
    expect(await opened().list(tableNaming(sha256))).toMatchObject([{ snapshot: "s", sha256 }]);
  });
});

test("a manifest that is not the one that the node named is never sealed", async () => {
  const replica = freeze("node-a");
  writeFileSync(manifestPath("node-a"), readFileSync(manifestPath("node-a"), "utf8").replace(DIGEST, "ab11"));
  const seals = opened();
  await expect(seals.write(seal(replica), undefined)).rejects.toMatchObject({
    id: "data-corrupt",
    message: expect.stringContaining(`not ${replica.manifestSha256}`),
  });
  expect(await seals.list(undefined)).toEqual([]);
});
