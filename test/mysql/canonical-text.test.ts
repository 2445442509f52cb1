import { DuckDBInstance, DuckDBTypeId } from "@duckdb/node-api";
import fc from "fast-check";
import { expect, test } from "vitest";
import { doubleOfText, doubleText, keyText } from "../../src/mysql/canonical-text.ts";

const HARD = [
  0,
  -0,
  1,
  -1,
  0.1,
  1e15,
  1e16,
  123456789012345.6,
  1e-4,
  1e-5,
  9.999999999999999e22,
  1e21,
  5e-324,
  2 ** 53,
  2 ** 63,
  Number.MAX_VALUE,
  Number.MIN_VALUE,
  2.2250738585072014e-308,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  -Infinity,
];

/** Any bits, so that every exponent is as likely as any other. */
const anyDouble = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map((bits) => {
  const view = new DataView(new ArrayBuffer(8));
  view.setBigUint64(0, bits);
  return view.getFloat64(0);
});

test("a double is the text that DuckDB prints, and comes back to the last bit", async () => {
  const instance = await DuckDBInstance.create(":memory:", { threads: "1" });
  const connection = await instance.connect();
  await connection.run("CREATE TABLE doubles (i INTEGER, d DOUBLE)");
  const check = async (values: readonly number[]) => {
    await connection.run("DELETE FROM doubles");
    const appender = await connection.createAppender("doubles");
    for (const [i, value] of values.entries()) {
      appender.appendInteger(i);
      appender.appendDouble(value);
      appender.endRow();
    }
    appender.closeSync();
    const found = await connection.runAndReadAll("SELECT CAST(d AS VARCHAR) FROM doubles ORDER BY i");
    expect(found.columnTypes()[0]?.typeId).toBe(DuckDBTypeId.VARCHAR);
    expect(values.map(doubleText)).toEqual(found.getRows().map(([text]) => (text as string).replace("-nan", "nan")));
    expect(values.map((value) => doubleOfText(doubleText(value)))).toEqual(values);
  };
  await check(HARD);
  const doubles = fc.oneof(
    anyDouble,
    fc.double(),
    fc.integer(),
    fc.integer().map((n) => n / 1000),
  );
  await fc.assert(fc.asyncProperty(fc.array(doubles, { minLength: 100, maxLength: 200 }), check), { numRuns: 50 });
  connection.closeSync();
  instance.closeSync();
});

test("different keys have different texts, and zero has one sign", () => {
  const types = ["STRING", "STRING"] as const;
  const texts = [
    ["a", "b"],
    ["ab", ""],
    ["", "ab"],
    ["a ", "b"],
    ["1:a", "b"],
    ["-", null],
    [null, "-"],
  ].map((values) => keyText(types, values));
  expect(new Set(texts).size).toBe(texts.length);
  expect(keyText(["DOUBLE"], [0])).toBe(keyText(["DOUBLE"], [-0]));
  expect(keyText(["INT64"], [2n ** 53n + 1n])).not.toBe(keyText(["INT64"], [2n ** 53n]));
  expect(keyText(["BYTES"], [Uint8Array.of(0xff)])).toBe("2:ff");
});
