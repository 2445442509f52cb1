import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ExactNumber, type Json, jsonPointer, readJson } from "../../../src/gateway/receive/read-json.ts";

/** Back to what JSON.parse gives, numbers by their value. */
function plain(json: Json): unknown {
  if (json instanceof ExactNumber) return Number(json.text);
  if (Array.isArray(json)) return json.map(plain);
  if (typeof json === "object" && json !== null) {
    return Object.fromEntries(Object.entries(json).map(([key, value]) => [key, plain(value as Json)]));
  }
  return json;
}

describe("the JSON reader", () => {
  test("reads what JSON.parse reads, whatever is written by JSON.stringify", () => {
    const values = fc.jsonValue({ maxDepth: 6 }).filter((value) => {
      const text = JSON.stringify(value);
      return text.isWellFormed() && !/\\ud[89a-f]/i.test(text) && !text.includes("__proto__");
    });
    fc.assert(
      fc.property(values, fc.constantFrom(undefined, 1, "\t"), (value, space) => {
        const text = JSON.stringify(value, null, space);
        expect(plain(readJson(text, 32))).toEqual(JSON.parse(text));
      }),
      { numRuns: 500 },
    );
  });

  test("refuses what JSON.parse refuses, and never fails otherwise than by a fault", () => {
    const soup = fc.array(
      fc.constantFrom("{", "}", "[", "]", '"', "\\", ":", ",", "1", "-", ".", "e", "true", "null", " ", "a", "\\u12"),
      {
        maxLength: 12,
      },
    );
    fc.assert(
      fc.property(soup, (parts) => {
        const text = parts.join("");
        let parsed: { value: unknown } | undefined;
        try {
          parsed = { value: JSON.parse(text) };
        } catch {
          parsed = undefined;
        }
        try {
          const read = readJson(text, 32);
          expect(parsed, text).toBeDefined();
          expect(plain(read)).toEqual(parsed?.value);
        } catch (error) {
          expect(error, text).toMatchObject({ id: "malformed-request" });
        }
      }),
      { numRuns: 3_000 },
    );
  });

  test("integers of any length keep their digits", () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -(10n ** 30n), max: 10n ** 30n }), (value) => {
        const read = readJson(String(value), 1);
        expect(read instanceof ExactNumber ? read.text : String(read)).toBe(String(value));
      }),
    );
  });

  test("depth is counted in lists and objects alike, and the limit itself is allowed", () => {
    const nested = (depth: number) => `${"[".repeat(depth)}${"]".repeat(depth)}`;
    expect(() => readJson(nested(32), 32)).not.toThrow();
    expect(() => readJson(nested(33), 32)).toThrow(/more than 32 deep/);
    expect(() => readJson(`{"a":${nested(32)}}`, 32)).toThrow(/at \/a\/0/);
  });

  test("a pointer escapes what RFC 6901 escapes", () => {
    expect(jsonPointer(["a/b", "c~d", 0])).toBe("/a~1b/c~0d/0");
  });
});

test("more values than a turn of the event loop is for are refused", () => {
  const list = (length: number) => `[${Array(length).fill(1).join()}]`;
  expect(() => readJson(list(99_999), 4)).not.toThrow();
  expect(() => readJson(list(100_000), 4)).toThrow(/more than 100000 values/);
  expect(() => readJson(`[${Array(60_000).fill('{"a":1}').join()}]`, 4)).toThrow(/more than 100000 values/);
});
