import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create, toJsonString } from "@bufbuild/protobuf";
import { expect, onTestFinished, test } from "vitest";
import { sealFile } from "../../src/archive/archive-layout.ts";
import { SEAL_CRASH_POINTS } from "../../src/process/crash-point.ts";
import { sha256Of } from "../../src/process/file-digest.ts";
import { ShardManifestSchema } from "../../src/wire/generated/skynetes/v1/seal_pb.ts";

const DIGEST = "aa11";

test.each(SEAL_CRASH_POINTS)("killed at %s, the same deed done again comes to the same archive", (point) => {
  const left = archive();
  const alone = archive();
  const deeds = point === "seal-removed" ? ["seal", "remove"] : ["seal"];
  for (const deed of deeds) expect(alone.run(deed).status).toBe(0);
  for (const deed of deeds.slice(0, -1)) expect(left.run(deed).status).toBe(0);
  const last = deeds.at(-1)!;
  expect(left.run(last, point).signal).toBe("SIGKILL");
  // Whole or not at all.
  expect([undefined, alone.seal()]).toContain(left.seal());
  expect(left.run(last).status).toBe(0);
  expect(left.seal()).toBe(alone.seal());
});

function archive() {
  const root = mkdtempSync(join(tmpdir(), "skynetes-seal-crash-"));
  onTestFinished(() => rmSync(root, { recursive: true, force: true }));
  const manifest = create(ShardManifestSchema, { mesh: "m", shard: 0, snapshot: "s", cut: {}, stateDigest: DIGEST });
  const text = toJsonString(ShardManifestSchema, manifest);
  mkdirSync(join(root, "shards/0/s"), { recursive: true });
  writeFileSync(join(root, "shards/0/s/n.1.manifest.json"), text);
  const file = join(root, sealFile("s"));
  const child = join(import.meta.dirname, "seal-child.ts");
  return {
    run: (deed: string, crashAt = "") =>
      spawnSync(process.execPath, [child, root, deed, sha256Of(text), DIGEST], {
        env: { ...process.env, SKYNETES_CRASH_AT: crashAt },
      }),
    seal: () => (existsSync(file) ? readFileSync(file, "utf8") : undefined),
  };
}
