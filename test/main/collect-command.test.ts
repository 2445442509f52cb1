import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { lockForProcess } from "../../src/process/process-lock.ts";
import { controlStateToText, emptyControlState } from "../../src/up/control/control-state.ts";
import { dataDirectory } from "../../src/up/control/data-directory.ts";

const SCRIPT = resolve(import.meta.dirname, "../../src/main/skynetes.ts");

function collect(root: string, ...more: string[]) {
  const args = [SCRIPT, "archive", "collect", "--data-dir", root, ...more];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
  return { status, stdout, stderr };
}

test("archive collect tells what goes and why, and leaves the archive of a running mesh alone", () => {
  const root = mkdtempSync(join(tmpdir(), "skynetes-collect-"));
  onTestFinished(() => rmSync(root, { recursive: true, force: true }));
  expect(collect(root)).toMatchObject({ status: 1, stderr: expect.stringContaining("no mesh has its data in") });

  const { stateFile, lockFile, archive } = dataDirectory(root);
  const object = join(archive, "objects/aa");
  for (const path of [join(archive, "objects"), join(archive, "snapshots"), join(archive, "collector")])
    mkdirSync(path, { recursive: true });
  mkdirSync(join(root, "control"), { recursive: true });
  writeFileSync(stateFile, controlStateToText(emptyControlState("m", 1, 0)));
  writeFileSync(object, "x");
  writeFileSync(join(archive, "snapshots/s.seal.json.1.tmp"), "x");
  // Nobody's since 1970, so the hour is over.
  writeFileSync(join(archive, "collector/marks.json"), '{"objects/aa": 0}');

  const lock = lockForProcess(lockFile, "the test's mesh");
  expect(collect(root)).toMatchObject({ status: 69, stderr: expect.stringContaining("stop it first") });
  expect(existsSync(object)).toBe(true);
  const dry = JSON.parse(collect(root, "--dry-run", "-o", "json").stdout);
  expect(dry).toMatchObject({
    dryRun: true,
    marked: [{ path: "snapshots/s.seal.json.1.tmp", reason: "its writer died before it was finished" }],
    deleted: [{ path: "objects/aa", reason: "no manifest names it" }],
  });
  expect(existsSync(object)).toBe(true);
  lock.release();

  expect(collect(root)).toMatchObject({
    status: 0,
    stdout:
      "marked   snapshots/s.seal.json.1.tmp: its writer died before it was finished\n" +
      "deleted  objects/aa: no manifest names it\n1 marked, 1 deleted\n",
  });
  expect(existsSync(object)).toBe(false);
  expect(existsSync(lockFile)).toBe(false);
});
