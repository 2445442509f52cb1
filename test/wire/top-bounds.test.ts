import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type Scalar,
  ScalarSchema,
  type TopBounds,
  TopBoundsSchema,
} from "../../src/wire/generated/skynetes/v1/stamp_pb.ts";
import { readTopBounds, writeTopBounds } from "../../src/wire/top-bounds.ts";

const RUNS = { numRuns: 1000 };

const int64s = fc.oneof(
  fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n),
  fc.bigInt(-300n, 300n),
  fc.constantFrom(2n ** 52n, -(2n ** 52n), 2n ** 52n - 1n, 1n - 2n ** 52n, 2n ** 53n - 1n, 2n ** 53n, -(2n ** 53n)),
);
const uint64s = int64s.map((value) => BigInt.asUintN(64, value));
const texts = fc.oneof(fc.constantFrom("first", "flights", "", "\ufeffmark"), fc.string({ unit: "grapheme" }));

const scalars: fc.Arbitrary<Scalar> = fc
  .oneof(
    int64s.map((value) => ({ case: "integer" as const, value })),
    uint64s.map((value) => ({ case: "unsigned" as const, value })),
    fc.double().map((value) => ({ case: "real" as const, value })),
    texts.map((value) => ({ case: "decimal" as const, value })),
    fc.constant({ case: undefined }),
  )
  .map((value) => create(ScalarSchema, { value }));

const bounds: fc.Arbitrary<TopBounds> = fc
  .record(
    { field: texts, kth: scalars, last: scalars, exhausted: fc.boolean(), groups: int64s },
    { requiredKeys: ["field", "exhausted", "groups"] },
  )
  .map((init) => create(TopBoundsSchema, init));

/** The same, or refused as the library refuses it. */
function bothRead(bytes: Uint8Array): void {
  let expected: TopBounds;
  try {
    expected = fromBinary(TopBoundsSchema, bytes, { readUnknownFields: false });
  } catch (error) {
    expect(() => readTopBounds(bytes)).toThrow((error as Error).message);
    return;
  }
  const { $unknown, ...read } = readTopBounds(bytes);
  for (const scalar of [read.kth, read.last]) if (scalar !== undefined) delete scalar.$unknown;
  expect(create(TopBoundsSchema, read)).toEqual(expected);
}

describe("bounds of top lists", () => {
  test("are written as the library writes them, and read back", () => {
    fc.assert(
      fc.property(bounds, (message) => {
        const bytes = writeTopBounds(message);
        expect(Buffer.from(bytes)).toEqual(Buffer.from(toBinary(TopBoundsSchema, message)));
        expect(create(TopBoundsSchema, readTopBounds(bytes))).toEqual(message);
      }),
      RUNS,
    );
  });

  test("with fields that are not known are written with them", () => {
    const message = create(TopBoundsSchema, { field: "first", kth: { value: { case: "integer", value: 3n } } });
    const $unknown = [{ no: 9, wireType: WireType.Varint, data: Uint8Array.of(7) }];
    for (const one of [
      { ...message, $unknown },
      { ...message, kth: { ...message.kth, $unknown } },
    ] as TopBounds[]) {
      expect(Buffer.from(writeTopBounds(one))).toEqual(Buffer.from(toBinary(TopBoundsSchema, one)));
    }
  });

  test("in several pieces, out of order, with fields twice, are read as the library reads them", () => {
    fc.assert(
      fc.property(fc.array(bounds, { minLength: 2, maxLength: 3 }), (messages) => {
        bothRead(Buffer.concat(messages.map((message) => toBinary(TopBoundsSchema, message))));
      }),
      RUNS,
    );
  });

  const varints = uint64s.map((value) => new BinaryWriter().uint64(value).finish());
  /** The same number, in more bytes than it needs. */
  const long = varints.map((bytes) => {
    if (bytes.length >= 10) return bytes;
    return Uint8Array.from([...bytes.slice(0, -1), bytes.at(-1)! | 0x80, 0]);
  });
  const records = fc
    .tuple(fc.integer({ min: 1, max: 7 }), fc.constantFrom(0, 1, 2, 5), varints, long, fc.uint8Array({ maxLength: 12 }))
    .map(([no, wireType, number, longNumber, data]) => {
      const writer = new BinaryWriter().tag(no, wireType as WireType);
      if (wireType === 0) return writer.raw(data.length % 2 === 0 ? number : longNumber).finish();
      if (wireType === 1) return writer.fixed64(BigInt(data.length)).finish();
      if (wireType === 5) return writer.fixed32(data.length).finish();
      return writer.bytes(data).finish();
    });

  test("of any fields and wire types are read, or refused, as the library does", () => {
    fc.assert(
      fc.property(fc.array(records, { maxLength: 5 }), (parts) => bothRead(Buffer.concat(parts))),
      RUNS,
    );
  });

  test("whose numbers are any records are read, or refused, as the library does", () => {
    fc.assert(
      fc.property(fc.array(records, { maxLength: 2 }), fc.constantFrom(2, 3), (parts, no) => {
        bothRead(new BinaryWriter().tag(no, WireType.LengthDelimited).bytes(Buffer.concat(parts)).finish());
      }),
      RUNS,
    );
  });

  test("that are cut off, or any bytes, are read, or refused, as the library does", () => {
    fc.assert(
      fc.property(bounds, fc.nat(40), (message, end) => bothRead(toBinary(TopBoundsSchema, message).subarray(0, end))),
      RUNS,
    );
    fc.assert(fc.property(fc.uint8Array({ maxLength: 30 }), bothRead), RUNS);
  });
});
