import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { expect, onTestFinished, test } from "vitest";

const SCRIPT = resolve(import.meta.dirname, "../../src/main/skynetes.ts");

function verify(archive: string, ...more: string[]) {
  const args = [SCRIPT, "archive", "verify", "--archive", archive, ...more];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
  return { status, stdout, stderr };
}

test("archive verify tells what it found to people and to programs, and by its exit code", () => {
  const archive = mkdtempSync(join(tmpdir(), "skynetes-verify-"));
  onTestFinished(() => rmSync(archive, { recursive: true, force: true }));
  expect(verify(archive)).toMatchObject({ status: 1, stderr: expect.stringContaining("nothing is there") });

  mkdirSync(join(archive, "objects"));
  writeFileSync(join(archive, "objects/aa"), "x");
  expect(verify(archive)).toMatchObject({
    status: 0,
    stdout:
      "orphaned  objects/aa: no manifest names it\n" +
      "0 seals, 0 manifests, 0 objects of 0 bytes: 0 missing, 0 damaged, 1 orphaned\n",
  });

  mkdirSync(join(archive, "snapshots"));
  writeFileSync(join(archive, "snapshots/s.seal.json"), "{");
  const { status, stdout } = verify(archive, "--output", "json");
  expect(status).toBe(1);
  expect(JSON.parse(stdout)).toMatchObject({ damaged: 1, orphaned: 1, findings: [{ kind: "damaged" }, {}] });
});
