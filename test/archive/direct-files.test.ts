import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, onTestFinished, test } from "vitest";
import { directFiles } from "../../src/archive/direct-files.ts";
import { diskLayer } from "../../src/archive/file-layer.ts";
import { sha256Of } from "../../src/process/file-digest.ts";
import { type ChooseFault, type FileFault, faultyLayer } from "./faulty-layer.ts";

async function testDirectory(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "skynetes-archive-"));
  onTestFinished(() => rm(path, { recursive: true, force: true }));
  return path;
}

/** Files of a new directory, whose calls fail as said; `root/local` is on the local disk. */
async function opened(choose: ChooseFault = () => undefined) {
  const root = await testDirectory();
  return { root, files: directFiles(join(root, "archive"), faultyLayer(choose)), local: join(root, "local") };
}

/** The first call of that name that is asked for fails. */
function once(call: string, fault: FileFault): ChooseFault {
  let left = 1;
  return (name) => (name === call && left-- > 0 ? fault : undefined);
}

const CONTENT = "a segment";
const DIGEST = sha256Of(CONTENT);

test("a text that is written is read again, and leaves nothing beside it", async () => {
  const { root, files } = await opened();
  await files.writeText("a/b.json", "one");
  await files.writeText("a/b.json", "two");
  expect(await files.readText("a/b.json")).toBe("two");
  expect(await readdir(join(root, "archive/a"))).toEqual(["b.json"]);
  expect(await files.readText("a/none")).toBeUndefined();
  expect(await files.list("none")).toEqual([]);
});

describe("a reply that is lost after the deed", () => {
  test("of a rename that put the file in its place is no failure", async () => {
    const { root, files } = await opened(once("rename", "lost"));
    await files.writeText("a/b.json", "one");
    expect(await files.readText("a/b.json")).toBe("one");
    expect(await readdir(join(root, "archive/a"))).toEqual(["b.json"]);
  });

  test("of a rename that set a file aside tells that it is aside", async () => {
    const { files } = await opened(once("rename", "lost"));
    await files.rename("none", "other").catch(() => {});
    await files.writeText("a", "one");
    expect(await files.rename("a", "a.doomed")).toBe(true);
    expect(await files.rename("a", "a.doomed")).toBe(true);
    expect(await files.rename("a", "a.elsewhere")).toBe(false);
  });

  test("of a removal is no failure", async () => {
    const { files } = await opened(once("removeFile", "lost"));
    await files.writeText("a", "one");
    await files.remove("a");
    expect(await files.readText("a")).toBeUndefined();
  });
});

test("a rename that took the temporary file away and brought nothing is a failure", async () => {
  const root = await testDirectory();
  const losing = {
    ...diskLayer,
    async rename(from: string) {
      await rm(from);
      throw Object.assign(new Error("ENOENT: no such file"), { code: "ENOENT" });
    },
  };
  await expect(directFiles(root, losing).writeText("a/b.json", "one")).rejects.toMatchObject({
    id: "archive-unavailable",
  });
});

test("a stale handle is looked up anew, three times", async () => {
  let left = 2;
  const { files } = await opened((name) => (name === "open" && left-- > 0 ? "ESTALE" : undefined));
  await files.writeText("a", "one");
  expect(await files.readText("a")).toBe("one");
  const always = await opened((name) => (name === "size" ? "ESTALE" : undefined));
  await expect(always.files.missing([{ path: "a", bytes: 1n }])).rejects.toMatchObject({ id: "archive-unavailable" });
});

test.each(["EROFS", "EIO", "ENOSPC"] as const)(
  "%s is told with operation, path and cause, and leaves nothing",
  async (code) => {
    const { root, files, local } = await opened((name) => (name === "sync" ? code : undefined));
    await writeFile(local, CONTENT);
    await expect(files.copyIn(local, "objects/x", DIGEST)).rejects.toMatchObject({
      id: "archive-unavailable",
      message: expect.stringContaining(`copy ${local} to ${root}/archive/objects/x: ${code}`),
    });
    expect(await readdir(join(root, "archive/objects"))).toEqual([]);
  },
);

test("a write that takes a part only goes on with the rest", async () => {
  const { files, local } = await opened((name) => (name === "short-write" ? "short" : undefined));
  await writeFile(local, CONTENT);
  await files.copyIn(local, "x", DIGEST);
  expect(await files.readText("x")).toBe(CONTENT);
});

test("an original that is damaged is told apart from a copy that came out wrong", async () => {
  const { root, files, local } = await opened();
  await writeFile(local, "a zegment");
  await expect(files.copyIn(local, "x", DIGEST)).rejects.toMatchObject({ id: "data-corrupt" });
  await expect(files.copyIn(join(root, "none"), "x", DIGEST)).rejects.toMatchObject({ id: "data-corrupt" });

  const damaging = faultyLayer(() => undefined);
  const layer = {
    ...damaging,
    open: async (path: string, flags: "r" | "w" | "r+") => {
      const file = await damaging.open(path, flags);
      return { ...file, write: (bytes: Uint8Array) => file.write(bytes.map((byte) => byte ^ 1)) };
    },
  };
  await writeFile(local, CONTENT);
  await expect(directFiles(root, layer).copyIn(local, "x", DIGEST)).rejects.toMatchObject({
    id: "archive-unavailable",
  });
  await expect(readFile(join(root, "x"))).rejects.toMatchObject({ code: "ENOENT" });
});

test("a file is fetched under the first of its names that is there", async () => {
  const { files, local } = await opened();
  await files.writeText("x.doomed", CONTENT);
  await files.copyOut(["x", "x.doomed"], local, DIGEST);
  expect(await readFile(local, "utf8")).toBe(CONTENT);
  await expect(files.copyOut(["y", "y.doomed"], local, DIGEST)).rejects.toMatchObject({ id: "data-corrupt" });
  await expect(files.copyOut(["x.doomed"], local, sha256Of("other"))).rejects.toMatchObject({ id: "data-corrupt" });
});

test("a directory goes when it is empty, and not before", async () => {
  const { root, files } = await opened();
  await mkdir(join(root, "archive/d"), { recursive: true });
  await files.writeText("d/a", "one");
  await files.remove("d");
  expect(await files.list("d")).toEqual(["a"]);
  await files.remove("d/a");
  await files.remove("d");
  await files.remove("d");
  expect(await readdir(join(root, "archive"))).toEqual([]);
});

test("whatever fails, what is told to be written is there whole, and repeating it succeeds when the faults end", async () => {
  const faults = fc.constantFrom<(FileFault | undefined)[]>(
    "ESTALE",
    "EIO",
    "EROFS",
    "ENOSPC",
    "short",
    "lost",
    undefined,
  );
  await fc.assert(
    fc.asyncProperty(fc.array(faults, { maxLength: 30 }), async (planned) => {
      const root = await mkdtemp(join(tmpdir(), "skynetes-archive-"));
      try {
        let at = 0;
        const files = directFiles(
          join(root, "archive"),
          faultyLayer(() => planned[at++]),
        );
        const local = join(root, "local");
        await writeFile(local, CONTENT);
        const sound = directFiles(join(root, "archive"));
        for (let tries = 0; ; tries++) {
          const told = await files.copyIn(local, "objects/x", DIGEST).then(
            () => true,
            (error) => {
              expect(error).toMatchObject({ id: "archive-unavailable" });
              return false;
            },
          );
          const there = await sound.readText("objects/x");
          expect([undefined, CONTENT]).toContain(there);
          if (told) expect(there).toBe(CONTENT);
          if (told) break;
          expect(tries).toBeLessThan(planned.length + 1);
        }
      } finally {
        await rm(root, { recursive: true, force: true });
      }
    }),
    { numRuns: Number(process.env.RUNS ?? 100) },
  );
});
