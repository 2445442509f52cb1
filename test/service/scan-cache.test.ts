import { mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ScanCache, type ScanKey } from "../../src/service/load/scan-cache.ts";
import type { Column, ColumnBatch } from "../../src/service/load/snapshot-reader.ts";

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "skynetes-scans-"));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const key = (segment = "a"): ScanKey => ({ segments: [segment], columns: [{ name: "n", type: "INT64" }], orderBy: [] });
const cache = (bytesMax = 2 ** 30) => new ScanCache({ directory, bytesMax });

async function* replayed(batches: readonly ColumnBatch[], onStart = () => {}): AsyncIterable<ColumnBatch> {
  onStart();
  // As the database does it: what was given is void when the next is taken.
  for (const batch of batches) {
    const copy = structuredClone(batch);
    const columns = copy.columns.map((column, i) =>
      column.type === "STRING" ? { ...column, dictionary: (batch.columns[i] as typeof column).dictionary } : column,
    );
    yield { rows: copy.rows, columns };
    for (const column of columns) {
      const array = column.type === "STRING" ? column.codes : column.values;
      if (!Array.isArray(array)) new Uint8Array((array as Uint8Array).buffer).fill(0);
    }
  }
}

function valueAt(column: Column, row: number): unknown {
  if (column.nulls?.[row] === 1) return null;
  return column.type === "STRING" ? column.dictionary[column.codes[row] as number] : column.values[row];
}

async function rowsOf(batches: AsyncIterable<ColumnBatch>): Promise<unknown[][]> {
  const rows: unknown[][] = [];
  for await (const { rows: count, columns } of batches) {
    for (let row = 0; row < count; row++) rows.push(columns.map((column) => valueAt(column, row)));
  }
  return rows;
}

function numbers(count: number, from = 0): ColumnBatch {
  const values = BigInt64Array.from({ length: count }, (_, i) => BigInt(from + i));
  return { rows: count, columns: [{ type: "INT64", values }] };
}

/** The rows, and whether they were scanned. */
async function read(batches: readonly ColumnBatch[], of = key(), through = cache()) {
  let scans = 0;
  const rows = BigInt(batches.reduce((sum, batch) => sum + batch.rows, 0));
  const found = await rowsOf(through.batches(of, rows, () => replayed(batches, () => scans++)));
  return { rows: found, scans };
}

const DICTIONARY = ["ATL", "é😀", ""];
const anyColumns = fc.constantFrom("BOOLEAN", "INT32", "DATE", "INT64", "TIMESTAMP", "DOUBLE", "STRING");

function column(type: string, rows: number, random: () => number, nulls: boolean): Column {
  const from = <T>(make: () => T) => Array.from({ length: rows }, make);
  const some = nulls ? { nulls: Uint8Array.from(from(() => random() % 2)) } : {};
  switch (type) {
    case "BOOLEAN":
      return { type, values: Uint8Array.from(from(() => random() % 2)), ...some };
    case "INT32":
    case "DATE":
      return { type, values: Int32Array.from(from(() => random() - 2 ** 31)), ...some };
    case "INT64":
    case "TIMESTAMP":
      return { type, values: BigInt64Array.from(from(() => BigInt(random()) * -4_000_000_001n)), ...some };
    case "DOUBLE":
      return { type, values: Float64Array.from(from(() => random() / 7)), ...some };
    default:
      return { type: "STRING", codes: Uint16Array.from(from(() => random() % 3)), dictionary: DICTIONARY, ...some };
  }
}

describe("scans that are kept", () => {
  test("are read as they were made, whatever their columns, batches and nulls", async () => {
    const batches = fc.array(
      fc.record({ rows: fc.constantFrom(1, 7, 2048, 20_000), seed: fc.nat(), nulls: fc.boolean() }),
      {
        maxLength: 4,
        minLength: 1,
      },
    );
    let segment = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(anyColumns, { minLength: 1, maxLength: 4 }), batches, async (types, shapes) => {
        const made = shapes.map(({ rows, seed, nulls }) => {
          let state = seed;
          const random = () => {
            state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
            return state;
          };
          return { rows, columns: types.map((type) => column(type, rows, random, nulls)) };
        });
        const of = key(`${segment++}`);
        const first = await read(made, of);
        const second = await read(made, of);
        expect([first.scans, second.scans]).toEqual([1, 0]);
        expect(second.rows).toEqual(first.rows);
      }),
      { numRuns: 20 },
    );
  });

  test("are those of the same segments, columns and order only", async () => {
    await read([numbers(3)]);
    const others: ScanKey[] = [
      key("b"),
      { ...key(), segments: ["a", "a"] },
      { ...key(), columns: [{ name: "m", type: "INT64" }] },
      { ...key(), columns: [{ name: "n", type: "TIMESTAMP" }] },
      { ...key(), orderBy: ["n"] },
    ];
    for (const other of others) expect((await read([numbers(3, 10)], other)).rows).toEqual([[10n], [11n], [12n]]);
    expect(await read([numbers(3)])).toEqual({ rows: [[0n], [1n], [2n]], scans: 0 });
  });

  test("are made anew when any bit is wrong, when they are cut off, or of another number of rows", async () => {
    await read([numbers(5)]);
    const [name] = await readdir(directory);
    const path = join(directory, name as string);
    const sound = await readFile(path);
    for (let bit = 0; bit < sound.length * 8; bit += 13) {
      const flipped = Buffer.from(sound);
      flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7));
      await writeFile(path, flipped);
      expect((await read([numbers(5)])).scans, `bit ${bit}`).toBe(1);
    }
    for (let length = 0; length < sound.length; length += 7) {
      await writeFile(path, sound.subarray(0, length));
      expect((await read([numbers(5)])).scans, `${length} bytes`).toBe(1);
    }
    expect((await read([numbers(6)])).scans).toBe(1);
    expect((await read([numbers(6)])).scans).toBe(0);
  });

  test("are not kept when the scan fails or is left, or its columns have no place in a file", async () => {
    const failing = async function* () {
      yield numbers(2);
      throw new Error("no more");
    };
    await expect(rowsOf(cache().batches(key("failing"), 4n, failing))).rejects.toThrow("no more");
    for await (const _ of cache().batches(key("left"), 4n, () => replayed([numbers(2), numbers(2)]))) break;
    const bytes: ColumnBatch = { rows: 1, columns: [{ type: "BYTES", values: [new Uint8Array([1])] }] };
    expect((await read([bytes], key("bytes"))).scans).toBe(1);
    const word = (text: string): ColumnBatch => ({
      rows: 1,
      columns: [{ type: "STRING", codes: new Uint32Array(1), dictionary: [text] }],
    });
    expect((await read([word("a"), word("b")], key("words"))).rows).toEqual([["a"], ["b"]]);
    expect(await readdir(directory)).toEqual([]);
  });

  test("do without a directory that cannot be written", async () => {
    const file = join(directory, "file");
    await writeFile(file, "");
    const nowhere = new ScanCache({ directory: join(file, "scans"), bytesMax: 1 });
    for (let i = 0; i < 2; i++) expect((await read([numbers(2)], key(), nowhere)).scans).toBe(1);
  });

  test("make room for the newest, the oldest first, also for what a killed process left", async () => {
    await writeFile(join(directory, "left.0"), Buffer.alloc(4_000));
    const names: string[] = ["left.0"];
    const age = async () => {
      for (const [i, name] of names.entries()) await utimes(join(directory, name), i, i).catch(() => {});
    };
    for (const segment of ["a", "b", "c"]) {
      await age();
      await read([numbers(400)], key(segment), cache(8_000));
      for (const name of await readdir(directory)) if (!names.includes(name)) names.push(name);
    }
    const kept = await Promise.all(
      ["a", "b", "c"].map((segment) => read([numbers(400)], key(segment), cache(2 ** 30))),
    );
    expect(kept.map(({ scans }) => scans)).toEqual([1, 0, 0]);
    expect(await stat(join(directory, "left.0")).catch(() => "gone")).toBe("gone");
  });
});
