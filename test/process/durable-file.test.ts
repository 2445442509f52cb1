import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { writeDurableFileSync } from "../../src/process/durable-file.ts";

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "skynetes-durable-"));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

test("a record is replaced whole, in a directory that is made for it", () => {
  const path = join(root, "new", "state.json");
  writeDurableFileSync(path, "first");
  writeDurableFileSync(path, "é".repeat(200_000));
  expect(readFileSync(path, "utf8")).toBe("é".repeat(200_000));
  expect(readdirSync(join(root, "new"))).toEqual(["state.json"]);
});

/** Writes 64 KiB where a file may not grow beyond 8 KiB at most: the write takes a part, as on a disk that fills up. */
function writeIntoFullDisk(path: string): string {
  const module = resolve(import.meta.dirname, "../../src/process/durable-file.ts");
  const script = `
    const { writeDurableFileSync } = await import(${JSON.stringify(module)});
    try { writeDurableFileSync(${JSON.stringify(path)}, "x".repeat(65536)); console.log("written"); }
    catch (error) { console.log(error.code); }`;
  const limited = 'ulimit -f 8 && exec "$0" --input-type=module -e "$1"';
  const { stdout } = spawnSync("sh", ["-c", limited, process.execPath, script], { encoding: "utf8" });
  return stdout.trim();
}

test("a disk that takes only part of a record is an error, the record before it stays, and nothing is left over", () => {
  const path = join(root, "state.json");
  writeDurableFileSync(path, "before");
  expect(writeIntoFullDisk(path)).toBe("EFBIG");
  expect(readFileSync(path, "utf8")).toBe("before");
  expect(readdirSync(root)).toEqual(["state.json"]);
});
