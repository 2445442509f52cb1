import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { lockForProcess } from "../../src/process/process-lock.ts";

let directory: string;
let path: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "skynetes-lock-"));
  path = join(directory, "control/up.lock");
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const LOCKER = `
  const { lockForProcess } = await import(${JSON.stringify(new URL("../../src/process/process-lock.ts", import.meta.url).href)});
  try { lockForProcess(process.argv[1], "the test"); console.log("locked"); setInterval(() => {}, 1000); }
  catch (error) { console.log(error.id); }
`;

function locker() {
  return spawn(process.execPath, ["--input-type=module", "-e", LOCKER, path], { stdio: ["ignore", "pipe", "inherit"] });
}

test("a second process is refused, and told who has it", async () => {
  const other = locker();
  await once(other.stdout, "data");
  expect(() => lockForProcess(path, "data directory x")).toThrow(
    `open data directory x: process ${other.pid} has it open; stop it first`,
  );
  other.kill("SIGKILL");
  await once(other, "exit");
});

test("the lock of a killed process is taken over", async () => {
  const other = locker();
  await once(other.stdout, "data");
  other.kill("SIGKILL");
  await once(other, "exit");
  lockForProcess(path, "x").release();
  expect(existsSync(path)).toBe(false);
});

test("a lock whose pid has been given to another process is stale", () => {
  const lock = lockForProcess(path, "x");
  const mine = JSON.parse(readFileSync(path, "utf8")) as { pid: number; began: string };
  lock.release();
  writeFileSync(path, JSON.stringify({ ...mine, began: "another boot:1" }));
  lockForProcess(path, "x").release();
});

test("an unreadable lock file, as a full disk leaves it, is stale", () => {
  lockForProcess(path, "x").release();
  writeFileSync(path, "");
  lockForProcess(path, "x").release();
});

test("of many processes that start over a stale lock one gets it", async () => {
  const dead = spawnSync(process.execPath, ["-e", ""]);
  lockForProcess(path, "x").release();
  writeFileSync(path, JSON.stringify({ pid: dead.pid, began: "gone:1" }));
  const all = Array.from({ length: 6 }, locker);
  const said = await Promise.all(all.map(async (child) => String((await once(child.stdout, "data"))[0]).trim()));
  for (const child of all) child.kill("SIGKILL");
  expect(said.filter((text) => text === "locked")).toHaveLength(1);
  expect(said.filter((text) => text === "store-locked")).toHaveLength(5);
});
