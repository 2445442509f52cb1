import { mkdtemp, rename, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { sha256Of } from "../../src/process/file-digest.ts";
import { KnownDigests } from "../../src/process/known-digests.ts";

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "skynetes-digests-"));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

test("a file that was written to, replaced or whose times were set back is read again", async () => {
  const digests = new KnownDigests();
  const path = join(directory, "segment");
  const past = new Date("2001-01-01T00:00:00Z");
  await writeFile(path, "first");
  await utimes(path, past, past);
  expect(await digests.sha256(path)).toBe(sha256Of("first"));
  expect(await digests.sha256(path)).toBe(sha256Of("first"));
  // Of the same size and, by its own word, of the same age.
  await writeFile(path, "other");
  await utimes(path, past, past);
  expect(await digests.sha256(path)).toBe(sha256Of("other"));
  await writeFile(join(directory, "new"), "third");
  await utimes(join(directory, "new"), past, past);
  await rename(join(directory, "new"), path);
  expect(await digests.sha256(path)).toBe(sha256Of("third"));
});

test("what is not there is not known either", async () => {
  const digests = new KnownDigests();
  const path = join(directory, "segment");
  await writeFile(path, "first");
  await digests.sha256(path);
  await rm(path);
  await expect(digests.sha256(path)).rejects.toThrow(/ENOENT/);
});
