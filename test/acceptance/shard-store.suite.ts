import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, onTestFinished, test } from "vitest";
import { Fault } from "../../src/fault/fault.ts";
import type { Cut } from "../../src/mesh/cut.ts";
import type { TableSpec } from "../../src/mesh/table-spec.ts";
import type {
  DecodedRecord,
  IngestBatch,
  RejectedRecord,
  ShardStore,
  StoreValue,
} from "../../src/node/store/shard-store.ts";
import { rowsOfFiles, tableSpec, testDirectory } from "../node/node-fixture.ts";

/** Opens the store of one place; opening the same place again finds what was committed there. */
export type OpenStore = (directory: string, tables: readonly TableSpec[]) => Promise<ShardStore>;

const EVENTS = tableSpec("events", "Append", { id: "INT64", name: "STRING?" });
const PLACES = tableSpec("places", "Upsert", { code: "STRING", name: "STRING?" }, { key: ["code"] });

/** The contract of `ShardStore`, to be run against every implementation. */
export function shardStoreAcceptance(name: string, open: OpenStore): void {
  describe(`shard store: ${name}`, () => {
    test("a commit from another position than the committed one is fenced and writes nothing", async () => {
      const { store, directory } = await opened();
      await store.commit(batch(EVENTS, 0n, [[1n, "a"]]));
      await expect(store.commit(batch(EVENTS, 0n, [[1n, "a"]]))).rejects.toMatchObject({ id: "fenced" });
      await expect(store.commit(batch(EVENTS, 5n, [[9n, "z"]]))).rejects.toMatchObject({ id: "fenced" });
      expect(await segmentRows(store, directory, EVENTS, 100n)).toEqual(['["1","a"]']);
      expect(await store.position()).toEqual(cut(EVENTS, 1n));
    });

    test("of several commits from the same position exactly one wins", async () => {
      const { store, directory } = await opened();
      const tries = Array.from({ length: 5 }, (_, i) => store.commit(batch(EVENTS, 0n, [[BigInt(i), "x"]])));
      const outcomes = await Promise.allSettled(tries);
      expect(outcomes.filter((outcome) => outcome.status === "fulfilled")).toHaveLength(1);
      for (const outcome of outcomes) {
        if (outcome.status === "rejected") expect((outcome.reason as Fault).id).toBe("fenced");
      }
      expect(await segmentRows(store, directory, EVENTS, 100n)).toHaveLength(1);
    });

    test("records of a topic that was made anew are refused", async () => {
      const { store } = await opened();
      await store.commit(batch(EVENTS, 0n, [[1n, "a"]]));
      const other = { ...batch(EVENTS, 1n, [[2n, "b"]]), topicId: "another" };
      await expect(store.commit(other)).rejects.toMatchObject({ id: "topic-recreated" });
    });

    test("a batch that fails in the middle leaves neither rows nor position", async () => {
      const { store, directory } = await opened();
      const good = batch(EVENTS, 0n, [[1n, "a"]]);
      const unknown = { ...good.rows[0]!, table: "no-such-table" };
      await expect(store.commit({ ...good, rows: [...good.rows, unknown] })).rejects.toBeInstanceOf(Fault);
      expect(await store.position()).toEqual([]);
      await store.commit(good);
      expect(await segmentRows(store, directory, EVENTS, 100n)).toEqual(['["1","a"]']);
    });

    test("what is committed is there after a restart, and the old positions still fence", async () => {
      const { store, directory } = await opened();
      for (let i = 0n; i < 5n; i++) await store.commit(batch(EVENTS, i, [[i, "x"]]));
      await store.close();
      const again = await open(directory, [EVENTS, PLACES]);
      expect(await again.position()).toEqual(cut(EVENTS, 5n));
      await expect(again.commit(batch(EVENTS, 3n, [[3n, "x"]]))).rejects.toMatchObject({ id: "fenced" });
      expect(await segmentRows(again, directory, EVENTS, 100n)).toHaveLength(5);
      await again.close();
    });

    test("a second opener is told that the store is locked, and takes nothing from the first", async () => {
      const { store, directory } = await opened();
      await expect(open(directory, [EVENTS, PLACES])).rejects.toMatchObject({ id: "store-locked" });
      await store.commit(batch(EVENTS, 0n, [[1n, "a"]]));
    });

    test("a table that was built otherwise is refused", async () => {
      const { store, directory } = await opened();
      await store.close();
      const changed = tableSpec("events", "Append", { id: "INT32", name: "STRING?" });
      await expect(open(directory, [changed])).rejects.toMatchObject({ id: "invalid-manifest" });
      await (await open(directory, [EVENTS])).close();
    });

    test("rejects are kept with their bytes and counted below a cut", async () => {
      const { store } = await opened();
      const reject = (offset: bigint) => ({
        topic: "events",
        partition: 0,
        offset,
        timestampMs: 1_000,
        reason: "not JSON",
        key: null,
        value: Buffer.from([0xff, 0x00]),
      });
      await store.commit({ ...batch(EVENTS, 0n, []), to: 10n, rejects: [reject(2n), reject(7n)] });
      expect(await store.rejected()).toBe(2n);
      expect(await store.rejectedBelow(cut(EVENTS, 7n))).toBe(1n);
      expect(await store.rejectedBelow(cut(EVENTS, 8n))).toBe(2n);
      expect(await store.rejectedBelow([])).toBe(0n);
    });

    test("rejects are read in the order of their places, a page at a time", async () => {
      const { store } = await opened();
      const reject = (offset: bigint) => ({
        topic: "events",
        partition: 0,
        offset,
        timestampMs: 1_700_000_000_123,
        reason: `no row ${offset}`,
        key: offset === 2n ? null : Buffer.from([0]),
        value: offset === 7n ? null : Buffer.from([0xff, 0x00]),
      });
      await store.commit({ ...batch(EVENTS, 0n, []), to: 10n, rejects: [reject(7n), reject(2n), reject(9n)] });
      const plain = (rejects: readonly RejectedRecord[]) =>
        rejects.map((r) => ({ ...r, key: r.key && [...r.key], value: r.value && [...r.value] }));
      const first = await store.rejects(undefined, 2);
      expect(plain(first)).toEqual(plain([reject(2n), reject(7n)]));
      expect(plain(await store.rejects(first[1], 2))).toEqual(plain([reject(9n)]));
      expect(await store.rejects({ topic: "events", partition: 0, offset: 9n }, 2)).toEqual([]);
      expect(await store.rejects({ topic: "events", partition: 1, offset: 0n }, 2)).toEqual([]);
    });

    test("an upsert table shows the newest row of each key, and none that a tombstone removed", async () => {
      const { store, directory } = await opened();
      const rows: [string, string | null][] = [
        ["LAX", "old"],
        ["SFO", "bay"],
        ["LAX", "new"],
        ["SFO", null],
        ["SFO", "again"],
      ];
      await store.commit(batch(PLACES, 0n, rows, [3]));
      const at = (position: bigint) => segmentRows(store, directory, PLACES, position);
      expect(await at(0n)).toEqual([]);
      expect(await at(2n)).toEqual(['["LAX","old"]', '["SFO","bay"]']);
      expect(await at(3n)).toEqual(['["LAX","new"]', '["SFO","bay"]']);
      expect(await at(4n)).toEqual(['["LAX","new"]']);
      expect(await at(5n)).toEqual(['["LAX","new"]', '["SFO","again"]']);
    });

    test("every type keeps its values to the last bit, also beyond 2^53", async () => {
      const types = tableSpec("types", "Append", {
        flag: "BOOLEAN?",
        small: "INT32?",
        big: "INT64?",
        real: "DOUBLE?",
        d4: "DECIMAL(4,1)?",
        d9: "DECIMAL(9,2)?",
        d18: "DECIMAL(18,2)?",
        d38: "DECIMAL(38,2)?",
        text: "STRING?",
        bytes: "BYTES?",
        day: "DATE?",
        time: "TIMESTAMP?",
      });
      const directory = await testDirectory();
      const store = await open(directory, [types]);
      const full: StoreValue[] = [
        true,
        -(2 ** 31),
        2n ** 53n + 1n,
        0.1,
        -9999n,
        123456789n,
        -(10n ** 18n - 1n),
        10n ** 38n - 1n,
        "a\u0000é😀",
        Uint8Array.from([0, 255, 128]),
        -719162,
        253402300799999999n,
      ];
      await store.commit(batch(types, 0n, [full, full.map(() => null)]));
      const path = join(directory, "types.parquet");
      const content = await store.writeSegment({ table: "types", from: [], to: cut(types, 2n), path });
      expect(content.rows).toBe(2n);
      expect(content.statistics.map(({ column, nulls, min, max }) => [column, nulls, min, max])).toEqual([
        ["flag", 1n, "true", "true"],
        ["small", 1n, "-2147483648", "-2147483648"],
        ["big", 1n, "9007199254740993", "9007199254740993"],
        ["real", 1n, "0.1", "0.1"],
        ["d4", 1n, "-999.9", "-999.9"],
        ["d9", 1n, "1234567.89", "1234567.89"],
        ["d18", 1n, "-9999999999999999.99", "-9999999999999999.99"],
        ["d38", 1n, "999999999999999999999999999999999999.99", "999999999999999999999999999999999999.99"],
        ["text", 1n, "a\u0000é😀", "a\u0000é😀"],
        ["bytes", 1n, "00ff80", "00ff80"],
        ["day", 1n, "0001-01-01", "0001-01-01"],
        ["time", 1n, "9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999Z"],
      ]);
      await store.close();
    });

    test("null, empty and moved text are different rows to the digest", async () => {
      const two = tableSpec("two", "Append", { a: "STRING?", b: "STRING?" });
      const digests = new Set<string>();
      const variants: StoreValue[][] = [
        [null, ""],
        ["", null],
        ["", ""],
        [null, null],
        ["ab", ""],
        ["a", "b"],
        ["-", ""],
        ["1:a", ""],
      ];
      for (const values of variants) {
        const directory = await testDirectory();
        const store = await open(directory, [two]);
        await store.commit(batch(two, 0n, [values]));
        const path = join(directory, "two.parquet");
        digests.add((await store.writeSegment({ table: "two", from: [], to: cut(two, 1n), path })).digest);
        await store.close();
      }
      expect(digests.size).toBe(variants.length);
    });

    test("a digest depends on the rows and not on the batches they came in", async () => {
      const row = fc.tuple(
        fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
        fc.option(fc.string({ unit: "grapheme" })),
      );
      await fc.assert(
        fc.asyncProperty(
          fc.array(row, { maxLength: 30 }),
          fc.infiniteStream(fc.integer({ min: 1, max: 9 })),
          async (rows, sizes) => {
            const digests: string[] = [];
            for (const sized of [true, false]) {
              const directory = await testDirectory();
              const store = await open(directory, [EVENTS]);
              for (let at = 0; at < rows.length; ) {
                const size = sized ? sizes.next().value! : rows.length;
                const part = rows.slice(at, at + size).map(([id, text]) => [id, text?.toWellFormed() ?? null]);
                await store.commit(batch(EVENTS, BigInt(at), part as StoreValue[][]));
                at += part.length;
              }
              const path = join(directory, "events.parquet");
              const to = cut(EVENTS, BigInt(rows.length));
              digests.push((await store.writeSegment({ table: "events", from: [], to, path })).digest);
              await store.close();
            }
            expect(digests[0]).toBe(digests[1]);
          },
        ),
        { numRuns: 15 },
      );
    });
  });

  async function opened(): Promise<{ store: ShardStore; directory: string }> {
    const directory = await testDirectory();
    const store = await open(directory, [EVENTS, PLACES]);
    onTestFinished(() => store.close());
    return { directory, store };
  }
}

function batch(
  table: TableSpec,
  from: bigint,
  rows: readonly (readonly StoreValue[])[],
  tombstones: number[] = [],
): IngestBatch {
  const decoded: DecodedRecord[] = rows.map((values, i) => ({
    table: table.name,
    partition: 0,
    offset: from + BigInt(i),
    values,
    tombstone: tombstones.includes(i),
  }));
  const to = from + BigInt(rows.length);
  return { topic: table.topic, topicId: "t1", partition: 0, from, to, rows: decoded, rejects: [] };
}

function cut(table: TableSpec, position: bigint): Cut {
  return [{ topic: table.topic, topicId: "t1", partition: 0, position }];
}

async function segmentRows(
  store: ShardStore,
  directory: string,
  table: TableSpec,
  position: bigint,
): Promise<string[]> {
  const path = join(directory, `${table.name}-${position}.parquet`);
  await store.writeSegment({ table: table.name, from: [], to: cut(table, position), path });
  return rowsOfFiles([path]);
}
