import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { Column, SnapshotReader } from "../../src/service/load/snapshot-reader.ts";
import { inTemporaryDirectory, served } from "./running.ts";
import { type FixtureTable, writeShard } from "./shard-fixture.ts";
import { scripted } from "./small-flights.ts";

/** Runs `look` as the `load` of a service that is bound to the tables; twice, the second time over what the first has kept. */
function loading(tables: readonly FixtureTable[], look: (snapshot: SnapshotReader) => Promise<void>): Promise<void> {
  return inTemporaryDirectory(async (directory) => {
    const shard = await writeShard(directory, { shard: 3, snapshot: "s1" }, tables);
    const load = async (snapshot: SnapshotReader) => {
      await look(snapshot);
      return 1;
    };
    for (let start = 0; start < 2; start++) {
      const service = await served(scripted({}, { load }), { scanDirectory: join(directory, "scans") });
      try {
        await service.bind(shard);
      } finally {
        await service.close();
      }
    }
  });
}

/** All values of the columns, row by row, as JavaScript sees them. */
async function rowsOf(snapshot: SnapshotReader, ...scan: Parameters<SnapshotReader["scan"]>): Promise<unknown[][]> {
  const rows: unknown[][] = [];
  for await (const batch of snapshot.scan(...scan)) {
    for (let row = 0; row < batch.rows; row++) rows.push(batch.columns.map((column) => valueAt(column, row)));
  }
  return rows;
}

function valueAt(column: Column, row: number): unknown {
  if (column.nulls?.[row] === 1) return null;
  return column.type === "STRING" ? column.dictionary[column.codes[row] as number] : column.values[row];
}

const EVERY_TYPE: FixtureTable = {
  name: "every",
  columns: [
    { name: "boolean", type: "BOOLEAN", nullable: true },
    { name: "int32", type: "INT32", nullable: true },
    { name: "int64", type: "INT64", nullable: true },
    { name: "double", type: "DOUBLE", nullable: true },
    { name: "string", type: "STRING", nullable: true },
    { name: "bytes", type: "BYTES", nullable: true },
    { name: "date", type: "DATE", nullable: true },
    { name: "timestamp", type: "TIMESTAMP", nullable: true },
    { name: "small", type: "DECIMAL(4,1)", nullable: true },
    { name: "decimal", type: "DECIMAL(38,2)", nullable: true },
  ],
  segments: [
    `SELECT true AS boolean, -7::INTEGER AS int32, 9007199254740993::BIGINT AS int64, 0.1::DOUBLE AS double,
       'é😀' AS string, '\\x00\\xFF'::BLOB AS bytes, DATE '1969-12-31' AS date,
       TIMESTAMP '1969-12-31 23:59:59.999999' AS timestamp, -12.5::DECIMAL(4,1) AS small,
       -999999999999999999999999999999999999.99::DECIMAL(38,2) AS decimal`,
    `SELECT NULL::BOOLEAN AS boolean, NULL::INTEGER AS int32, NULL::BIGINT AS int64, NULL::DOUBLE AS double,
       NULL::VARCHAR AS string, NULL::BLOB AS bytes, NULL::DATE AS date, NULL::TIMESTAMP AS timestamp,
       NULL::DECIMAL(4,1) AS small, NULL::DECIMAL(38,2) AS decimal`,
  ],
};

describe("scan", () => {
  test("leaves out what removals name, each row once, in order and by dictionary", () => {
    const place = (code: number, name: string) => `(${code}, '${name}')`;
    const segment = (...rows: string[]) =>
      `SELECT code::INTEGER AS code, name FROM (VALUES ${rows.join()}) AS v(code, name)`;
    const places: FixtureTable = {
      name: "places",
      columns: [
        { name: "code", type: "INT32" },
        { name: "name", type: "STRING" },
      ],
      segments: [
        segment(place(1, "a"), place(2, "b"), place(3, "c")),
        segment(place(2, "B"), place(4, "d")),
        segment(place(4, "D")),
      ],
      removed: [
        [0, 1],
        [0, 2],
        [1, 1],
      ],
    };
    return loading([places], async (snapshot) => {
      expect(await rowsOf(snapshot, "places", ["name", "code"], { orderBy: ["name"] })).toEqual([
        ["B", 2],
        ["D", 4],
        ["a", 1],
      ]);
    });
  });

  test("gives every type exactly, nulls included, over several segments", () =>
    loading([EVERY_TYPE], async (snapshot) => {
      expect(snapshot.shard).toBe(3);
      expect(snapshot.tables).toEqual([
        { name: "every", rows: 2n, columns: EVERY_TYPE.columns.map(({ name }) => name) },
      ]);
      const names = EVERY_TYPE.columns.map(({ name }) => name);
      const rows = await rowsOf(snapshot, "every", names, { orderBy: ["int64"] });
      expect(rows).toEqual([
        [
          1,
          -7,
          9007199254740993n,
          0.1,
          "é😀",
          new Uint8Array([0, 255]),
          -1,
          -1n,
          -125n,
          -99999999999999999999999999999999999999n,
        ],
        names.map(() => null),
      ]);
    }));

  test("gives strings of few values one dictionary for the whole scan, of many values one a batch", () => {
    const table: FixtureTable = {
      name: "t",
      columns: [
        { name: "few", type: "STRING" },
        { name: "many", type: "STRING" },
        { name: "i", type: "INT64" },
      ],
      segments: [
        `SELECT chr((97 + i % 5)::INTEGER) AS few, 'value ' || i AS many, i FROM range(60000) r(i)`,
        `SELECT 'z''"' AS few, 'last' AS many, 60000::BIGINT AS i`,
      ],
    };
    return loading([table], async (snapshot) => {
      const few = new Set<readonly string[]>();
      let batches = 0;
      const seen: string[] = [];
      for await (const batch of snapshot.scan("t", ["few", "many", "i"], { orderBy: ["i"] })) {
        const [first, second] = batch.columns;
        if (first?.type !== "STRING" || second?.type !== "STRING") throw new Error("not strings");
        few.add(first.dictionary);
        batches++;
        for (let row = 0; row < batch.rows; row++) {
          seen.push(`${valueAt(first, row)} ${valueAt(second, row)}`);
        }
      }
      expect(batches).toBeGreaterThan(20);
      expect(few.size).toBe(1);
      expect([...few][0]).toEqual(["a", "b", "c", "d", "e", "z'\""]);
      expect(seen.length).toBe(60_001);
      expect([seen[0], seen[59_999], seen[60_000]]).toEqual(["a value 0", "e value 59999", "z'\" last"]);
    });
  });

  test("sorts by several columns, strings by UTF-8 bytes", () => {
    const table: FixtureTable = {
      name: "t",
      columns: [
        { name: "s", type: "STRING" },
        { name: "n", type: "INT64" },
      ],
      segments: [
        `SELECT * FROM (VALUES ('😀', 1::BIGINT), ('～', 2::BIGINT), ('a', 4::BIGINT), ('a', 3::BIGINT), ('Z', 5::BIGINT)) v(s, n)`,
      ],
    };
    return loading([table], async (snapshot) => {
      const rows = await rowsOf(snapshot, "t", ["s", "n"], { orderBy: ["s", "n"] });
      expect(rows).toEqual([
        ["Z", 5n],
        ["a", 3n],
        ["a", 4n],
        ["～", 2n],
        ["😀", 1n],
      ]);
    });
  });

  test("runs beside another scan, and one that is broken off does no harm", () => {
    const table: FixtureTable = {
      name: "t",
      columns: [
        { name: "s", type: "STRING" },
        { name: "n", type: "INT64" },
      ],
      segments: ["SELECT 'v' || i % 3 AS s, i AS n FROM range(50000) r(i)"],
    };
    return loading([table], async (snapshot) => {
      const sums = async () =>
        (await rowsOf(snapshot, "t", ["s", "n"])).reduce((sum, row) => sum + (row[1] as bigint), 0n);
      const brokenOff = async () => {
        for await (const batch of snapshot.scan("t", ["s", "n"])) return BigInt(batch.rows);
        return 0n;
      };
      const [one, first, other] = await Promise.all([sums(), brokenOff(), sums()]);
      expect(first).toBeGreaterThan(0n);
      expect([one, other]).toEqual([1249975000n, 1249975000n]);
    });
  });

  test("of an empty table gives no batch; tables and columns that are not there are named", () =>
    loading([{ ...EVERY_TYPE, segments: [] }], async (snapshot) => {
      expect(await rowsOf(snapshot, "every", ["int32"])).toEqual([]);
      expect(() => snapshot.scan("none", ["int32"])).toThrow('scan table "none": no such table; there are every');
      expect(() => snapshot.scan("every", ["int33"])).toThrow('scan table "every": no column "int33"');
      expect(() => snapshot.scan("every", ["int32"], { orderBy: ["x"] })).toThrow('no column "x"');
    }));

  test("refuses segments that do not hold the manifest's columns, though their checksums are right", async () => {
    const table: FixtureTable = {
      name: "t",
      columns: [{ name: "n", type: "INT64" }],
      segments: ["SELECT 1 AS other"],
    };
    const look = (snapshot: SnapshotReader) => rowsOf(snapshot, "t", ["n"]).then(() => {});
    await expect(loading([table], look)).rejects.toMatchObject({ id: "data-corrupt" });
    const short = { ...table, segments: ["SELECT 1::BIGINT AS n"], rows: 2n };
    await expect(loading([short], look)).rejects.toThrow("there are 1 rows, the manifest says 2");
    const unfit = { ...table, segments: ["SELECT 'x' AS n"] };
    await expect(loading([unfit], look)).rejects.toMatchObject({ id: "data-corrupt" });
  });
});
