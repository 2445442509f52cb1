import fc from "fast-check";
import { expect, test } from "vitest";
import type { ArchiveFiles } from "../../src/archive/archive-files.ts";
import { DirectoryArchive } from "../../src/node/archive/directory-archive.ts";

/**
 * Two processes under one node's name, whose file operations happen one by one in an order that the test decides. Files
 * are a map; an operation happens when its writer's turn comes, and what the writer does next is asked for after that.
 */
class InterleavedFiles {
  readonly files = new Map<string, string>();
  readonly #waiting = new Map<string, () => void>();

  of(writer: string): ArchiveFiles {
    const turn = async <T>(work: () => T): Promise<T> => {
      await new Promise<void>((resolve) => this.#waiting.set(writer, resolve));
      return work();
    };
    const unused = () => Promise.reject(new Error("not used by a writer of manifests"));
    return {
      readText: (path) => turn(() => this.files.get(path)),
      writeText: (path, text) => turn(() => void this.files.set(path, text)),
      list: (directory) => turn(() => this.list(directory)),
      remove: (path) => turn(() => void this.files.delete(path)),
      rename: unused,
      missing: unused,
      digest: unused,
      copyIn: unused,
      copyOut: unused,
    };
  }

  list(directory: string): string[] {
    const inside = [...this.files.keys()].filter((path) => path.startsWith(`${directory}/`));
    return inside.map((path) => path.slice(directory.length + 1));
  }

  /** Lets the writer's next operation happen; false when it has none. */
  async step(writer: string): Promise<boolean> {
    const go = this.#waiting.get(writer);
    this.#waiting.delete(writer);
    go?.();
    await new Promise((resolve) => setImmediate(resolve));
    return go !== undefined;
  }
}

const KEY = { shard: 0, snapshot: "s", node: "n" };

interface Outcome {
  readonly told: ReadonlyMap<string, "written" | "fenced">;
  readonly files: InterleavedFiles;
}

/** Both put a manifest of one snapshot; `schedule` says whose operation is next, and then each goes to its end. */
async function run(schedule: readonly boolean[], manifests: readonly [number, number]): Promise<Outcome> {
  const files = new InterleavedFiles();
  const told = new Map<string, "written" | "fenced">();
  const writers = ["x", "y"].map((instance, i) => {
    const parts = { files: files.of(instance), node: "n", instance, trouble: () => undefined };
    const archive = new DirectoryArchive(parts);
    return (async () => {
      for (let n = 0; n < manifests[i]!; n++) {
        const text = `${instance} ${n}`;
        const put = archive.putManifest({ ...KEY, snapshot: `s${n}` }, text);
        told.set(
          text,
          await put.then(
            () => "written" as const,
            (error) => {
              expect(error.id).toBe("fenced");
              return "fenced" as const;
            },
          ),
        );
      }
    })();
  });
  await new Promise((resolve) => setImmediate(resolve));
  for (const isX of schedule) await files.step(isX ? "x" : "y");
  for (let idle = 0; idle < 2; ) {
    idle = 0;
    for (const writer of ["x", "y"]) if (!(await files.step(writer))) idle++;
  }
  await Promise.all(writers);
  return { told, files };
}

function check({ told, files }: Outcome): void {
  // What was told to be written is there: nobody has overwritten it or taken it away.
  const contents = [...files.files.values()];
  for (const [text, outcome] of told) if (outcome === "written") expect(contents).toContain(text);
  // Each manifest's epoch was held by one writer.
  const owners = new Map<string, Set<string>>();
  for (const [path, text] of files.files) {
    const [, epoch] = /\.(\d+)\.manifest\.json$/.exec(path) ?? [];
    if (epoch !== undefined) owners.set(epoch, (owners.get(epoch) ?? new Set()).add(text.slice(0, 1)));
  }
  for (const writers of owners.values()) expect(writers.size).toBe(1);
  // Somebody comes through, and at most one claim is left that may write.
  expect([...told.values()]).toContain("written");
  expect(files.list("epochs/0/n").length).toBeGreaterThan(0);
}

/** Of `x` and `y` so many operations each. */
function* schedules(x: number, y: number, before: readonly boolean[] = []): Generator<readonly boolean[]> {
  if (x === 0 && y === 0) yield before;
  if (x > 0) yield* schedules(x - 1, y, [...before, true]);
  if (y > 0) yield* schedules(x, y - 1, [...before, false]);
}

test("in every order of two writers' first operations, no epoch has two writers and nothing told to be written is lost", async () => {
  // list, write, list: what a claim takes; check, write, check: what a manifest takes.
  for (const schedule of schedules(6, 6)) check(await run(schedule, [1, 1]));
}, 120_000);

test("the same for long scripts in random orders", async () => {
  const orders = fc.array(fc.boolean(), { maxLength: 80 });
  const counts = fc.tuple(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 4 }));
  await fc.assert(
    fc.asyncProperty(orders, counts, async (schedule, manifests) => check(await run(schedule, manifests))),
    { numRuns: Number(process.env.RUNS ?? 200) },
  );
});

test("a writer that is fenced between its two looks takes back what it wrote", async () => {
  const x = (n: number) => Array.from({ length: n }, () => true);
  const y = (n: number) => Array.from({ length: n }, () => false);
  // x claims (list, write, list) and looks; y takes over whole; x writes, looks and takes back.
  const { told, files } = await run([...x(4), ...y(20)], [1, 1]);
  expect(told).toEqual(
    new Map([
      ["y 0", "written"],
      ["x 0", "fenced"],
    ]),
  );
  expect(files.list("shards/0/s0")).toEqual(["n.2.manifest.json"]);
});
