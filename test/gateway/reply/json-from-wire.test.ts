import { createRegistry, type DescMessage, fromBinary, type Message, toBinary, toJson } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { expect, test } from "vitest";
import { unsliced } from "../../../src/accumulator/sliced-sort.ts";
import { JsonFromWire } from "../../../src/gateway/reply/json-from-wire.ts";
import { methodsOf } from "../../merge-plan/annotated-service.ts";
import { seeded } from "../../oracle/drive-merge.ts";
import { randomMessage } from "../../oracle/random-message.ts";

const SCALARS =
  "double float int32 int64 uint32 uint64 sint32 sint64 fixed32 fixed64 sfixed32 sfixed64 bool string bytes";
const TYPES = [...SCALARS.split(" "), "Color", "Decimal", "Timestamp", "Inner"];
const METHOD = methodsOf({
  enums: { Color: [["COLOR_NONE"], ["COLOR_RED"]] },
  messages: {
    Req: [],
    Inner: ["int64", "string", "repeated double"].map((type, index) => ({ name: `i_${index}`, type })),
    Res: ["", "optional ", "repeated ", "oneof "].flatMap((label) =>
      TYPES.map((type) => ({ name: `${label.trim()}_${type.toLowerCase()}`, type: `${label}${type}` })),
    ),
  },
})[0]!;
const RES = METHOD.output;
const REGISTRY = createRegistry(RES.file);

function expected(desc: DescMessage, message: Message): string {
  return JSON.stringify(toJson(desc, message, { alwaysEmitImplicit: true, registry: REGISTRY }));
}

function written(desc: DescMessage, pieces: readonly Uint8Array[]): string {
  return Buffer.concat(unsliced(new JsonFromWire(REGISTRY).write(desc, pieces))).toString();
}

test("the text is that of the library, for every type, set or not", () => {
  for (let seed = 0; seed < 300; seed++) {
    const random = seeded(seed);
    const message = randomMessage(RES, random, { lengthMax: 3, filled: random.pick([0, 0.3, 1]) });
    expect(written(RES, [toBinary(RES, message)]), `seed ${seed}`).toBe(expected(RES, message));
  }
});

test("a list may be cut into pieces", () => {
  const list = RES.fields.find(({ name }) => name === "repeated_string")!;
  const record = (text: string) => new BinaryWriter().tag(list.number, WireType.LengthDelimited).string(text).finish();
  const whole = written(RES, [Buffer.concat([record("a"), record("b"), record("c")])]);
  expect(written(RES, [record("a"), record("b"), Buffer.alloc(0), record("c")])).toBe(whole);
  expect(whole).toContain('["a","b","c"]');
});

test("fields that nobody knows, and fields out of order, are read as the library reads them", () => {
  const inner = RES.fields.find(({ name }) => name === "_inner")!;
  const bodies = [
    new BinaryWriter().tag(77, WireType.Varint).uint32(5),
    new BinaryWriter().tag(2, WireType.LengthDelimited).string("x").tag(1, WireType.Varint).uint32(5),
  ];
  for (const body of bodies) {
    const bytes = new BinaryWriter().tag(inner.number, WireType.LengthDelimited).bytes(body.finish()).finish();
    expect(written(RES, [bytes])).toBe(expected(RES, fromBinary(RES, bytes)));
    expect(written(inner.message!, [bytes])).toBe(expected(inner.message!, fromBinary(inner.message!, bytes)));
  }
});
