import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { type ArchiveLimits, ArchiveProcess } from "../../src/archive/archive-process.ts";
import { systemClock } from "../../src/process/clock.ts";
import { VirtualClock } from "../process/virtual-clock.ts";

const FAULTY = new URL("./faulty-child.ts", import.meta.url);

async function opened(limits: Partial<ArchiveLimits> = {}, script: URL | undefined = FAULTY) {
  const root = await mkdtemp(join(tmpdir(), "skynetes-archive-"));
  const clock = new VirtualClock();
  const archive = new ArchiveProcess({ root: join(root, "archive"), clock, limits, script });
  onTestFinished(async () => {
    archive.close();
    await rm(root, { recursive: true, force: true });
  });
  const hang = () => writeFile(join(root, "hanging"), "");
  const mend = () => rm(join(root, "hanging"));
  return { archive, files: archive.files, clock, hang, mend };
}

const unavailable = (text: string) => ({ id: "archive-unavailable", message: expect.stringContaining(text) });
const turn = () => new Promise((resolve) => setImmediate(resolve));

test("operations are carried out by the process that the package brings", async () => {
  const root = await mkdtemp(join(tmpdir(), "skynetes-archive-"));
  const archive = new ArchiveProcess({ root, clock: systemClock });
  onTestFinished(async () => {
    archive.close();
    await rm(root, { recursive: true, force: true });
  });
  await archive.files.writeText("a/b", "one");
  expect(await archive.files.readText("a/b")).toBe("one");
  expect(await archive.files.digest("a/b")).toMatchObject({ bytes: 3n });
  expect(
    await archive.files.missing([
      { path: "a/b", bytes: 3n },
      { path: "c", bytes: 1n },
    ]),
  ).toEqual(["c"]);
});

test("an operation that hangs is given up; others are refused at once, and one at a time tries again", async () => {
  const { archive, files, clock, hang, mend } = await opened({ stallMs: 1_000, retryFirstMs: 100 });
  await files.writeText("hang", "one");
  await hang();
  const hung = files.readText("hang");
  const given = expect(hung).rejects.toMatchObject(unavailable("readText hang in"));
  await turn();
  await clock.pass(1_000);
  await given;
  expect(archive.trouble).toContain("no sign of life for 1000 ms");

  await expect(files.readText("other")).rejects.toMatchObject(unavailable("the archive does not answer"));
  await clock.pass(100);
  const probe = files.readText("hang");
  await turn();
  await expect(files.readText("other")).rejects.toMatchObject(unavailable("the archive does not answer"));
  const failed = expect(probe).rejects.toMatchObject(unavailable("no sign of life"));
  await clock.pass(1_000);
  await failed;
  // The wait has grown.
  await clock.pass(100);
  await expect(files.readText("other")).rejects.toMatchObject({ detail: { retryAfterMs: 100 } });

  await mend();
  await clock.pass(100);
  expect(await files.readText("hang")).toBe("one");
  expect(archive.trouble).toBeUndefined();
});

test("what hangs takes nothing along that is under way beside it", async () => {
  const { files, clock, hang } = await opened({ stallMs: 1_000, retryFirstMs: 100 });
  await files.writeText("hang", "one");
  await hang();
  const hung = expect(files.readText("hang")).rejects.toMatchObject(unavailable("no sign of life"));
  await turn();
  await clock.pass(600);
  // The second has another 600 ms when the first is given up.
  const second = expect(files.readText("also hang")).rejects.toMatchObject(unavailable("no sign of life"));
  const sound = files.list("");
  await turn();
  await clock.pass(400);
  await hung;
  expect(await sound).toEqual(["hang"]);
  await clock.pass(600);
  await second;
});

test("hung operations hold neither the event loop nor the files of this process", async () => {
  const { files, clock, hang } = await opened({ stallMs: 1_000, underWayMax: 16 });
  await hang();
  const hung = Array.from({ length: 16 }, (_, i) => files.readText(`hang-${i}`).catch((error) => error.id));
  await turn();
  const local = join(await mkdtemp(join(tmpdir(), "skynetes-archive-")), "local");
  onTestFinished(() => rm(join(local, ".."), { recursive: true }));
  await writeFile(local, "written while all of them hang");
  await clock.pass(1_000);
  expect(new Set(await Promise.all(hung))).toEqual(new Set(["archive-unavailable"]));
});

test("no more operations wait than the bound", async () => {
  const { files, clock, hang } = await opened({ stallMs: 1_000, underWayMax: 1, waitingMax: 2 });
  await hang();
  const first = [files.readText("hang"), files.readText("hang")].map((read) => read.catch((error) => error.message));
  await turn();
  await expect(files.readText("x")).rejects.toMatchObject(unavailable("2 operations are waiting already"));
  await clock.pass(1_000);
  await Promise.all(first);
});

test("an error that comes back refuses nobody else, and is shown until such an operation succeeds", async () => {
  const { archive, files } = await opened({}, undefined);
  await files.writeText("d/a", "one");
  await expect(files.readText("d")).rejects.toMatchObject(unavailable("EISDIR"));
  expect(archive.trouble).toContain("EISDIR");
  await files.writeText("d/b", "two");
  expect(archive.trouble).toContain("EISDIR");
  expect(await files.readText("d/b")).toBe("two");
  expect(archive.trouble).toBeUndefined();
});

test("a process that is killed from outside is replaced, and closing fails what is under way", async () => {
  const { archive, files, clock, hang } = await opened({ stallMs: 1_000, idleMs: 5_000 });
  await files.writeText("a", "one");
  await clock.pass(5_000);
  // The idle process has ended; the next operation starts another.
  expect(await files.readText("a")).toBe("one");
  await hang();
  const hung = expect(files.readText("hang")).rejects.toMatchObject(unavailable("it is closed"));
  await turn();
  archive.close();
  await hung;
  await expect(files.readText("a")).rejects.toMatchObject(unavailable("it is closed"));
});
