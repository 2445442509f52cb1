import { FieldDescriptorProto_Type as Type } from "@bufbuild/protobuf/wkt";
import avro from "avsc";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { ColumnType } from "../../src/mesh/column-type.ts";
import type { ColumnSpec, RecordSchema } from "../../src/mesh/table-spec.ts";
import { misfits, type RecordFormat, rowReader, valueEncoder } from "../../src/row-format/record-format.ts";
import { RowReject } from "../../src/row-format/row-reject.ts";
import { avroSchema, protobufSchema } from "./schemas.ts";

const avroFormat = (schema: RecordSchema): RecordFormat => ({ format: "Avro", schema });
const protobufFormat = (schema: RecordSchema): RecordFormat => ({ format: "Protobuf", schema });

/** `?` behind a type: nullable. */
function columnsOf(types: Record<string, string>): ColumnSpec[] {
  return Object.entries(types).map(([name, type]) => ({
    name,
    type: type.replace("?", "") as ColumnType,
    nullable: type.endsWith("?"),
  }));
}

const COLUMNS = columnsOf({
  flag: "BOOLEAN",
  small: "INT32",
  large: "INT64",
  real: "DOUBLE",
  price: "DECIMAL(20,3)",
  word: "STRING",
  raw: "BYTES",
  day: "DATE",
  at: "TIMESTAMP",
  maybe: "INT64?",
});

const AVRO_ROW = avroSchema({
  flag: "boolean",
  small: "int",
  large: "long",
  real: "double",
  price: { type: "bytes", logicalType: "decimal", precision: 20, scale: 3 },
  word: "string",
  raw: "bytes",
  day: { type: "int", logicalType: "date" },
  at: { type: "long", logicalType: "timestamp-micros" },
  maybe: ["null", "long"],
});

const PROTOBUF_ROW = protobufSchema({
  flag: Type.BOOL,
  small: Type.SINT32,
  large: Type.INT64,
  real: Type.DOUBLE,
  price: Type.STRING,
  word: Type.STRING,
  raw: Type.BYTES,
  day: Type.STRING,
  at: { typeName: ".google.protobuf.Timestamp" },
  maybe: { type: Type.SFIXED64, optional: true },
});

const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
const day = fc.integer({ min: -719_162, max: 2_932_896 });

/** A row as JSON, with the values that it means. */
const rows = fc
  .record({
    flag: fc.boolean(),
    small: fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
    large: int64,
    real: fc.double({ noDefaultInfinity: true, noNaN: true }),
    price: fc.bigInt({ min: -(10n ** 20n) + 1n, max: 10n ** 20n - 1n }),
    word: fc.string({ unit: "grapheme" }),
    raw: fc.uint8Array(),
    day,
    at: fc.bigInt({ min: -62_135_596_800_000_000n, max: 253_402_300_799_999_999n }),
    maybe: fc.option(int64),
  })
  .map((row) => ({ json: jsonOf(row), values: Object.values(row) }));

function jsonOf(row: Record<string, unknown>): Uint8Array {
  const price = row.price as bigint;
  const digits = String(price < 0n ? -price : price).padStart(4, "0");
  const at = row.at as bigint;
  const micros = ((at % 1_000_000n) + 1_000_000n) % 1_000_000n;
  const spelled = {
    ...row,
    large: String(row.large),
    real: undefined,
    price: `${price < 0n ? "-" : ""}${digits.slice(0, -3)}.${digits.slice(-3)}`,
    raw: Buffer.from(row.raw as Uint8Array).toString("base64"),
    day: new Date((row.day as number) * 86_400_000).toISOString().slice(0, 10),
    at: `${new Date(Number((at - micros) / 1000n)).toISOString().slice(0, 19)}.${String(micros).padStart(6, "0")}Z`,
    maybe: row.maybe === null ? null : String(row.maybe),
  };
  const real = Object.is(row.real, -0) ? "-0" : String(row.real);
  return Buffer.from(JSON.stringify(spelled).replace(/^\{/, `{"real":${real},`));
}

describe.each([
  ["Avro", avroFormat(AVRO_ROW)],
  ["Avro behind a registry's header", avroFormat({ ...AVRO_ROW, registryId: 7 })],
  ["Protobuf", protobufFormat(PROTOBUF_ROW)],
  ["Protobuf behind a registry's header", protobufFormat({ ...PROTOBUF_ROW, registryId: 2 ** 32 - 1 })],
])("%s", (_name, format) => {
  test("a row is what the same row in JSON is, to the last digit", () => {
    const encode = valueEncoder(format, COLUMNS);
    const reader = rowReader(format, COLUMNS);
    const json = rowReader({ format: "JSON" }, COLUMNS);
    fc.assert(
      fc.property(rows, (row) => {
        const read = reader.read(encode(row.json));
        expect(read.map(plain)).toEqual(row.values.map(plain));
        expect(read.map(plain)).toEqual(json.read(row.json).map(plain));
      }),
    );
  });

  test("any other bytes are a reject, whatever the library makes of them", () => {
    const encode = valueEncoder(format, COLUMNS);
    const reader = rowReader(format, COLUMNS);
    fc.assert(
      fc.property(rows, fc.nat(), fc.uint8Array({ maxLength: 40 }), (row, at, noise) => {
        const bytes = Buffer.from(encode(row.json));
        bytes.set(noise.subarray(0, bytes.length - (at % bytes.length)), at % bytes.length);
        for (const value of [bytes, bytes.subarray(0, at % bytes.length), noise]) {
          try {
            reader.read(value);
          } catch (error) {
            expect(error).toBeInstanceOf(RowReject);
          }
        }
      }),
    );
  });
});

/** `toEqual` tells -0 from 0 but not a Buffer from other bytes. */
function plain(value: unknown): unknown {
  return value instanceof Uint8Array ? [...value] : value;
}

function reason(format: RecordFormat, columns: ColumnSpec[], value: Uint8Array): string {
  try {
    rowReader(format, columns).read(value);
    return "none";
  } catch (error) {
    if (error instanceof RowReject) return error.reason;
    throw error;
  }
}

const one = (name: string, type: string) => columnsOf({ [name]: type });

describe("a record that is no row is rejected with its reason", () => {
  test("Avro", () => {
    const long = avroFormat(avroSchema({ id: "long" }));
    expect(reason(long, one("id", "INT64"), Buffer.from([2, 4]))).toContain("trailing data");
    expect(reason(long, one("id", "INT64"), Buffer.from([]))).toContain("truncated buffer");
    const wide = avro.Type.forSchema("long").toBuffer(2 ** 40);
    expect(reason(long, one("id", "INT32"), wide)).toBe('field "id": 1099511627776 does not fit INT32');
    const word = avroFormat(avroSchema({ word: "string" }));
    expect(reason(word, one("word", "STRING"), Buffer.from([2, 0xff]))).toContain("not UTF-8");
    const maybe = avroFormat(avroSchema({ id: ["null", "long"] }));
    expect(reason(maybe, one("id", "INT64"), Buffer.from([0]))).toBe('field "id" is missing');
    const real = avroFormat(avroSchema({ real: "double" }));
    expect(reason(real, one("real", "DOUBLE"), avro.Type.forSchema("double").toBuffer(Number.NaN))).toContain("NaN");
    const late = avroFormat(avroSchema({ day: { type: "int", logicalType: "date" } }));
    expect(reason(late, one("day", "DATE"), avro.Type.forSchema("int").toBuffer(2_932_897))).toContain("9999");
    const headed = avroFormat({ ...avroSchema({ id: "long" }), registryId: 7 });
    expect(reason(headed, one("id", "INT64"), Buffer.from([0, 0, 0, 0, 8, 2]))).toContain("schema 7");
    const fine = avroFormat(avroSchema({ at: { type: "long", logicalType: "timestamp-nanos" } }));
    expect(reason(fine, one("at", "TIMESTAMP"), Buffer.from([2]))).toContain("finer than microseconds");
    const cut = avroFormat(avroSchema({ d: { type: "bytes", logicalType: "decimal", precision: 9, scale: 4 } }));
    expect(reason(cut, one("d", "DECIMAL(9,2)"), Buffer.from([2, 1]))).toContain("0.0001 has more than 2 places");
  });

  test("Protobuf", () => {
    const large = protobufFormat(protobufSchema({ id: Type.UINT64 }));
    expect(reason(large, one("id", "INT64"), Buffer.from("08ffffffffffffffffff01", "hex"))).toContain(
      "does not fit INT64",
    );
    expect(reason(large, one("id", "INT64"), Buffer.from([8]))).toContain("no test.v1.Row");
    const word = protobufFormat(protobufSchema({ word: Type.STRING }));
    expect(reason(word, one("word", "STRING"), Buffer.from([10, 1, 0xff]))).not.toBe("none");
    const fine = protobufFormat(protobufSchema({ at: { typeName: ".google.protobuf.Timestamp" } }));
    expect(reason(fine, one("at", "TIMESTAMP"), Buffer.from([10, 2, 16, 1]))).toContain("finer than microseconds");
    expect(reason(fine, one("at", "TIMESTAMP"), Buffer.from([]))).toBe('field "at" is missing');
    const named = protobufFormat(protobufSchema({ w: { type: Type.ENUM, typeName: ".test.v1.Word" } }));
    expect(reason(named, one("w", "STRING"), Buffer.from([8, 9]))).toContain("9 is no value of test.v1.Word");
    const second = protobufFormat({ ...protobufSchema({ id: Type.INT64 }), registryId: 7 });
    // The header of the file's first message, which is another one.
    expect(reason(second, one("id", "INT64"), Buffer.from([0, 0, 0, 0, 7, 0, 8, 1]))).toContain("schema 7");
    expect(reason(second, one("id", "INT64"), Buffer.from([0, 0, 0, 0, 7, 2, 2, 8, 1]))).toBe("none");
  });
});

test("fields without presence are zero, wrappers are nullable, unknown fields are passed over", () => {
  const schema = protobufSchema({ id: Type.INT64, boxed: { typeName: ".google.protobuf.Int64Value" } });
  const reader = rowReader(protobufFormat(schema), columnsOf({ id: "INT64", boxed: "INT64?" }));
  expect(reader.read(Buffer.from([]))).toEqual([0n, null]);
  expect(reader.read(Buffer.from([18, 0, 24, 5]))).toEqual([0n, 0n]);
  expect(reader.read(Buffer.from([8, 3, 18, 2, 8, 4]))).toEqual([3n, 4n]);
});

test("decimals of other scales, whole numbers and fixed bytes are exact decimals", () => {
  const schema = avroSchema({
    a: { type: "fixed", name: "Money", size: 4, logicalType: "decimal", precision: 9, scale: 1 },
    b: "long",
  });
  const columns = columnsOf({ a: "DECIMAL(12,4)", b: "DECIMAL(12,2)" });
  const encode = valueEncoder(avroFormat(schema), columns);
  const bytes = encode(Buffer.from('{"a":"-12.5","b":"7.00"}'));
  expect([...bytes]).toEqual([0xff, 0xff, 0xff, 0x83, 14]);
  expect(rowReader(avroFormat(schema), columns).read(bytes)).toEqual([-125000n, 700n]);
  expect(() => encode(Buffer.from('{"a":"-12.55","b":"7.00"}'))).toThrow();
});

test("a field that the table has no column for is written as its default", () => {
  const schema = {
    text: JSON.stringify({
      type: "record",
      name: "R",
      fields: [
        { name: "id", type: "int" },
        { name: "kept", type: "string", default: "x" },
        { name: "none", type: ["null", "int"] },
      ],
    }),
  };
  const columns = one("id", "INT32");
  const bytes = valueEncoder(avroFormat(schema), columns)(Buffer.from('{"id":1}'));
  expect([...bytes]).toEqual([2, 2, 0x78, 0]);
  expect(rowReader(avroFormat(schema), columns).read(bytes)).toEqual([1]);
});

describe("what keeps a table from a schema is told column by column", () => {
  test.each([
    ["no schema", { format: "Avro" } as RecordFormat, [{ reason: "the schema is missing" }]],
    ["not JSON", avroFormat({ text: "{" }), [{ reason: expect.stringContaining("no Avro schema") }]],
    ["no record", avroFormat({ text: '"long"' }), [{ reason: expect.stringContaining("not a record") }]],
    [
      "an array within",
      avroFormat(avroSchema({ id: "long", tags: { type: "array", items: "null" } })),
      [{ reason: expect.stringContaining('field "tags" is of type array: rows are flat') }],
    ],
    [
      "a missing field and one of another type",
      avroFormat(avroSchema({ id: "string" })),
      [
        { column: "id", reason: "a field of type string is no INT64" },
        { column: "other", reason: "the schema has no such field" },
      ],
    ],
    [
      "no descriptor set",
      protobufFormat({ text: "////", message: "a.B" }),
      [{ reason: expect.stringContaining("no descriptor set") }],
    ],
    [
      "no such message",
      protobufFormat({ ...PROTOBUF_ROW, message: "a.B" }),
      [{ reason: expect.stringContaining("no message a.B") }],
    ],
    [
      "a repeated field",
      protobufFormat(protobufSchema({ id: { type: Type.INT64, repeated: true }, other: Type.INT64 })),
      [{ column: "id", reason: "a field of type repeated is no INT64" }],
    ],
  ])("%s", (_name, format, expected) => {
    expect(misfits(format, columnsOf({ id: "INT64", other: "INT64" }))).toEqual(expected);
  });
});
