import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { LogRecord } from "../../src/log/log.ts";
import type { ColumnType } from "../../src/mesh/column-type.ts";
import type { TableSpec } from "../../src/mesh/table-spec.ts";
import { recordDecoder } from "../../src/node/ingest/record-decoder.ts";
import type { StoreValue } from "../../src/node/store/shard-store.ts";
import { dateDays, timestampMicros } from "../../src/row-format/calendar.ts";
import { JsonRowReader } from "../../src/row-format/json-row.ts";
import { RowReject } from "../../src/row-format/row-reject.ts";
import { tableSpec } from "./node-fixture.ts";

const EVENTS = tableSpec("events", "Append", { id: "INT64", word: "STRING?" });

function record(value: string | Uint8Array | null, key: string | null = null): LogRecord {
  const bytes = typeof value === "string" ? Buffer.from(value) : value;
  return { offset: 7n, timestampMs: 0, key: key === null ? null : Buffer.from(key), value: bytes, headers: [] };
}

function decode(
  table: TableSpec,
  value: string | Uint8Array | null,
  key: string | null = null,
): readonly StoreValue[] | string {
  const decoded = recordDecoder(table)(record(value, key), 0);
  return decoded instanceof RowReject ? decoded.reason : decoded.values;
}

describe("a record that is no row is rejected with its reason", () => {
  test.each([
    ["not JSON at all", "hello", 'malformed JSON at character 0: expected an object, found "hello"'],
    ["an array", "[1]", "expected an object"],
    ["cut off", '{"id":1', "expected a comma or a closing brace, found the end"],
    ["text after the object", '{"id":1} x', "expected the end"],
    ["two objects", '{"id":1}{"id":2}', "expected the end"],
    ["a trailing comma", '{"id":1,}', "expected a field name"],
    ["an unknown field", '{"id":1,"wrod":"x"}', 'unknown field "wrod"'],
    ["a field twice", '{"id":1,"id":2}', 'field "id" comes twice'],
    ["a field twice under an escaped name", '{"id":1,"\\u0069d":2}', 'field "id" comes twice'],
    ["a missing field", '{"word":"x"}', 'field "id" is missing'],
    ["null where none may be", '{"id":null}', "not nullable"],
    ["a nested object", '{"id":1,"word":{}}', "an object is no column value"],
    ["an integer with a point", '{"id":1.0}', "not an integer"],
    ["an integer with an exponent", '{"id":1e3}', "not an integer"],
    ["an integer beyond 64 bits", '{"id":9223372036854775808}', "does not fit INT64"],
    ["an integer of 20 digits", '{"id":"18446744073709551616"}', "does not fit INT64"],
    ["a leading zero", '{"id":01}', "malformed JSON"],
    ["a lone minus", '{"id":-}', "expected a number"],
    ["a plus", '{"id":+1}', "expected a value"],
    ["NaN", '{"id":NaN}', "expected a value"],
    ["a boolean as integer", '{"id":true}', 'the boolean "true" is no INT64'],
    ["a number as string", '{"id":1,"word":2}', "is no STRING"],
    ["half of a surrogate pair", '{"id":1,"word":"\\ud800"}', "surrogate"],
    ["a control character in a string", '{"id":1,"word":"a\nb"}', "malformed JSON"],
    ["a bad escape", '{"id":1,"word":"\\x"}', "valid escapes"],
    ["a byte order mark", '\ufeff{"id":1}', "expected an object"],
    ["deep nesting", `{"id":1,"word":${"[".repeat(200_000)}`, "an array is no column value"],
    ["a prototype", '{"id":1,"__proto__":{"x":1}}', 'unknown field "__proto__"'],
  ])("%s", (_title, value, reason) => {
    expect(decode(EVENTS, value)).toContain(reason);
  });

  test("bytes that are not UTF-8", () => {
    expect(decode(EVENTS, Uint8Array.from([0x7b, 0xff, 0x7d]))).toContain("not UTF-8");
  });

  test("a record without value in an append table", () => {
    expect(decode(EVENTS, null)).toContain("no upsert table");
  });
});

test("integers come through to the last bit, as numbers and as strings", () => {
  const ids = [
    "9007199254740993",
    "-9007199254740993",
    "9223372036854775807",
    "-9223372036854775808",
    "0",
    "-0",
    "999999999999999",
  ];
  for (const id of ids) {
    expect(decode(EVENTS, `{"id":${id}}`)).toEqual([BigInt(id), null]);
    expect(decode(EVENTS, `{"id":"${id}"}`)).toEqual([BigInt(id), null]);
  }
});

describe("values by type", () => {
  const value = (type: ColumnType, json: string) => decode(tableSpec("t", "Append", { c: type }), `{"c":${json}}`);
  test.each<[ColumnType, string, StoreValue]>([
    ["BOOLEAN", "true", true],
    ["INT32", "-2147483648", -(2 ** 31)],
    ["DOUBLE", "1e300", 1e300],
    ["DOUBLE", "-0", -0],
    ["DOUBLE", "9007199254740993", 9007199254740992],
    ["DECIMAL(4,2)", '"12.50"', 1250n],
    ["DECIMAL(4,2)", "12.5", 1250n],
    ["DECIMAL(4,2)", "-0.500", -50n],
    ["DECIMAL(4,2)", "1.25e1", 1250n],
    ["DECIMAL(38,0)", '"99999999999999999999999999999999999999"', 10n ** 38n - 1n],
    ["STRING", '"\\u00e9\\n\\ud83d\\ude00"', "é\n😀"],
    ["BYTES", '"AP+A"', Buffer.from([0, 255, 128])],
    ["DATE", '"2024-02-29"', 19782],
    ["TIMESTAMP", '"1969-12-31T23:59:59.999999Z"', -1n],
    ["TIMESTAMP", '"2001-04-01T02:00:00+02:00"', 986083200000000n],
  ])("%s %s", (type, json, expected) => {
    expect(value(type, json)).toEqual([expected]);
  });

  test.each<[ColumnType, string, string]>([
    ["INT32", "2147483648", "does not fit INT32"],
    ["DOUBLE", "1e400", "does not fit DOUBLE"],
    ["DOUBLE", '"1"', "is no DOUBLE"],
    ["DECIMAL(4,2)", "1.255", "more than 2 places"],
    ["DECIMAL(4,2)", "100", "does not fit"],
    ["DECIMAL(4,2)", '"1e999"', "does not fit"],
    ["DECIMAL(4,2)", '"abc"', "not a decimal"],
    ["BYTES", '"AP+"', "not base64"],
    ["DATE", '"2023-02-29"', "not a DATE"],
    ["DATE", '"0000-01-01"', "not a DATE"],
    ["TIMESTAMP", '"2001-04-01T00:00:00"', "not a TIMESTAMP"],
    ["TIMESTAMP", '"2001-04-01T00:00:00.0000001Z"', "not a TIMESTAMP"],
    ["TIMESTAMP", '"2001-04-01T24:00:00Z"', "not a TIMESTAMP"],
    ["TIMESTAMP", '"0001-01-01T00:00:00+01:00"', "not a TIMESTAMP"],
    ["TIMESTAMP", "986083200000", "is no TIMESTAMP"],
  ])("%s %s is refused", (type, json, reason) => {
    expect(value(type, json)).toContain(reason);
  });
});

describe("keys of upsert tables", () => {
  const one = tableSpec("places", "Upsert", { code: "STRING", name: "STRING?" }, { key: ["code"] });
  const two = tableSpec("legs", "Upsert", { name: "STRING?", n: "INT64", code: "STRING" }, { key: ["code", "n"] });

  test("a tombstone's key is the record's", () => {
    expect(recordDecoder(one)(record(null, "LAX"), 3)).toMatchObject({
      partition: 3,
      offset: 7n,
      tombstone: true,
      values: ["LAX", null],
    });
    expect(decode(two, null, '["LAX",9007199254740993]')).toEqual([null, 9007199254740993n, "LAX"]);
  });

  test.each([
    [one, '{"code":"LAX"}', null, "without key"],
    [one, null, null, "without key"],
    [one, '{"code":"LAX"}', "SFO", 'field "code" differs from the record\'s key'],
    [two, null, "LAX", "the key is not JSON"],
    [two, null, '["LAX"]', "no array of 2 values"],
    [two, null, '["LAX",null]', 'no value for "n"'],
  ])("%#", (table, value, key, reason) => {
    expect(decode(table, value, key)).toContain(reason);
  });
});

test("what is read equals what JSON.parse reads, and what it refuses is refused", () => {
  const reader = new JsonRowReader(tableSpec("t", "Append", { a: "DOUBLE?", b: "STRING?", "c d": "BOOLEAN?" }).columns);
  const row = fc.record(
    {
      a: fc.option(fc.double({ noNaN: true, noDefaultInfinity: true })),
      b: fc.option(fc.string({ unit: "binary" })),
      "c d": fc.option(fc.boolean()),
    },
    { requiredKeys: [] },
  );
  fc.assert(
    fc.property(row, fc.boolean(), fc.nat(), fc.string({ maxLength: 1 }), (value, pretty, at, noise) => {
      const text = JSON.stringify(value, null, pretty ? 2 : undefined);
      const parsed = JSON.parse(text) as typeof value;
      expect(reader.read(text)).toEqual([parsed.a ?? null, parsed.b ?? null, parsed["c d"] ?? null]);
      // One character put in somewhere: never accepted where JSON.parse refuses.
      const place = at % (text.length + 1);
      const noisy = text.slice(0, place) + noise + text.slice(place);
      let read: StoreValue[] | undefined;
      try {
        read = reader.read(noisy);
      } catch (error) {
        expect(error).toBeInstanceOf(RowReject);
      }
      if (read !== undefined) {
        const reference = JSON.parse(noisy) as typeof value;
        expect(read).toEqual([reference.a ?? null, reference.b ?? null, reference["c d"] ?? null]);
      }
    }),
    { numRuns: 2000 },
  );
});

test("dates and times agree with Date over the years there are", () => {
  fc.assert(
    fc.property(fc.integer({ min: -62135596800000, max: 253402300799999 }), (ms) => {
      const text = new Date(ms).toISOString();
      expect(timestampMicros(text)).toBe(BigInt(ms) * 1000n);
      expect(dateDays(text.slice(0, 10))).toBe(Math.floor(ms / 86_400_000));
    }),
  );
});
