import { existsSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { didYouMean } from "../../src/manifest/did-you-mean.ts";
import { seedPath } from "../../src/manifest/seed-path.ts";
import { parseColumnType } from "../../src/manifest/value/column-type.ts";
import { parseDuration, parseSize } from "../../src/manifest/value/quantity.ts";
import { parseRfc3339 } from "../../src/manifest/value/rfc3339.ts";
import { templateHash } from "../../src/manifest/value/template-hash.ts";

test.each([
  ["2001-04-01T00:00:00Z", Date.UTC(2001, 3, 1)],
  ["2001-04-01T02:00:00.125+02:00", Date.UTC(2001, 3, 1, 0, 0, 0, 125)],
  ["0099-01-01T00:00:00Z", Date.parse("0099-01-01T00:00:00Z")],
  ["2001-04-01T00:00:00.000100Z", undefined],
  ["2001-02-29T00:00:00Z", undefined],
  ["2001-04-01T24:00:00Z", undefined],
  ["2001-04-01", undefined],
  ["2001-04-01T00:00:00", undefined],
])("the time %s is %s", (text, ms) => expect(parseRfc3339(text)).toBe(ms));

test.each([
  ["500ms", 500],
  ["1m30s", 90_000],
  ["2h", 7_200_000],
  ["7d12h", 648_000_000],
  ["30", undefined],
  ["-1s", undefined],
  ["1s1m", undefined],
  ["", undefined],
])("the duration %s is %s", (text, ms) => expect(parseDuration(text)).toBe(ms));

test.each([
  ["512Mi", 512 * 1024 * 1024],
  ["10M", 10_000_000],
  ["7", 7],
  ["1.5Gi", undefined],
  ["1 MB", undefined],
  ["999999999999999Ti", undefined],
])("the size %s is %s", (text, bytes) => expect(parseSize(text)).toBe(bytes));

test.each([
  ["DECIMAL(38, 2)", "DECIMAL(38,2)"],
  ["DECIMAL(0,0)", undefined],
  ["DECIMAL(3,4)", undefined],
  ["int64", undefined],
])("the column type %s is %s", (text, type) => expect(parseColumnType(text)).toBe(type));

test("a template's hash does not depend on the order of its keys, and on everything else", () => {
  const hash = templateHash({ module: "./a.ts", env: { A: "1", B: "2" } });
  expect(templateHash({ env: { B: "2", A: "1" }, module: "./a.ts" })).toBe(hash);
  expect(templateHash({ module: "./a.ts", env: { A: "1", B: "3" } })).not.toBe(hash);
});

test("only near words are suggested", () => {
  expect(didYouMean("colums", ["columns", "kind"])).toBe("columns");
  expect(didYouMean("nmae", ["name", "namespace"])).toBe("name");
  expect(didYouMean("key", ["kind", "name"])).toBeUndefined();
});

describe("a seed's file", () => {
  test("is found in an installed package", () => {
    expect(existsSync(seedPath(import.meta.dirname, "npm:vega-datasets/data/airports.csv"))).toBe(true);
  });

  test.each(["npm:vega-datasets/data/none.csv", "npm:vega-datasets/../../package.json", "npm:x", "none.csv"])(
    "%s is not there",
    (file) => {
      expect(() => seedPath(import.meta.dirname, file)).toThrow(/find seed .*: no such file/);
    },
  );
});
