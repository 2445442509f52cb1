import { spawnSync } from "node:child_process";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { directFiles } from "../../src/archive/direct-files.ts";
import { COLLECTOR_CRASH_POINTS } from "../../src/process/crash-point.ts";

test.each(COLLECTOR_CRASH_POINTS)(
  "killed at %s, a collector keeps what is named and the next takes the rest",
  async (point) => {
    const root = await mkdtemp(join(tmpdir(), "skynetes-collect-"));
    onTestFinished(() => rm(root, { recursive: true, force: true }));
    const files = directFiles(root);
    for (const name of ["named", "orphan"]) await files.writeText(`objects/${name}`, "x");
    await files.writeText("shards/0/s/n.1.manifest.json", "named");
    const look = (nowMs: number, crashAt = "") =>
      spawnSync(process.execPath, [join(import.meta.dirname, "collect-child.ts"), root, String(nowMs)], {
        env: { ...process.env, SKYNETES_CRASH_AT: crashAt },
      });
    expect(look(0).status).toBe(0);
    expect(look(1_000, point).signal).toBe("SIGKILL");
    expect(await readdir(join(root, "objects"))).toContain("named");
    expect(look(2_000).status).toBe(0);
    expect(await readdir(join(root, "objects"))).toEqual(["named"]);
  },
);
