import { create, createFileRegistry, type DescMessage, fromBinary, fromJson, toJson } from "@bufbuild/protobuf";
import {
  DescriptorProtoSchema,
  FieldDescriptorProto_Label,
  FieldDescriptorProto_Type,
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
  file_google_protobuf_struct,
} from "@bufbuild/protobuf/wkt";
import fc from "fast-check";
import { expect, test } from "vitest";
import { canonicalBytes } from "../../src/wire/canonical-message.ts";

const { STRING, INT64, SINT32, MESSAGE } = FieldDescriptorProto_Type;
const { OPTIONAL, REPEATED } = FieldDescriptorProto_Label;

/** message Request { map<string,int64> counts; map<sint32,Request> nested; repeated Request list; Struct any; string text; oneof { Request one } } */
function requestType(): DescMessage {
  const entry = (name: string, key: typeof STRING | typeof SINT32, value: object) =>
    create(DescriptorProtoSchema, {
      name,
      options: { mapEntry: true },
      field: [
        { name: "key", jsonName: "key", number: 1, type: key, label: OPTIONAL },
        { name: "value", jsonName: "value", number: 2, label: OPTIONAL, ...value },
      ],
    });
  const field = (name: string, number: number, rest: object) => ({ name, jsonName: name, number, ...rest });
  const own = { type: MESSAGE, typeName: ".t.Request" };
  const file = create(FileDescriptorProtoSchema, {
    name: "t.proto",
    package: "t",
    syntax: "proto3",
    dependency: ["google/protobuf/struct.proto"],
    messageType: [
      {
        name: "Request",
        nestedType: [entry("CountsEntry", STRING, { type: INT64 }), entry("NestedEntry", SINT32, own)],
        oneofDecl: [{ name: "choice" }],
        field: [
          field("counts", 1, { type: MESSAGE, typeName: ".t.Request.CountsEntry", label: REPEATED }),
          field("nested", 2, { type: MESSAGE, typeName: ".t.Request.NestedEntry", label: REPEATED }),
          field("list", 3, { ...own, label: REPEATED }),
          field("any", 4, { type: MESSAGE, typeName: ".google.protobuf.Struct", label: OPTIONAL }),
          field("text", 5, { type: STRING, label: OPTIONAL }),
          field("one", 6, { ...own, label: OPTIONAL, oneofIndex: 0 }),
        ],
      },
    ],
  });
  const set = create(FileDescriptorSetSchema, { file: [file_google_protobuf_struct.proto, file] });
  return createFileRegistry(set).getMessage("t.Request") as DescMessage;
}

const desc = requestType();

const key = fc.string({ maxLength: 3 });
const leaf = fc.record(
  {
    counts: fc.dictionary(key, fc.integer().map(String), { maxKeys: 4 }),
    any: fc.dictionary(key, fc.oneof(fc.integer(), fc.dictionary(key, fc.integer(), { maxKeys: 3 })), { maxKeys: 3 }),
    text: key,
  },
  { requiredKeys: [] },
);
const around = (inner: fc.Arbitrary<object>) =>
  fc.record(
    {
      counts: fc.dictionary(key, fc.integer().map(String), { maxKeys: 4 }),
      nested: fc.dictionary(fc.integer({ min: -50, max: 50 }).map(String), inner, { maxKeys: 3 }),
      list: fc.array(inner, { maxLength: 2 }),
      one: inner,
    },
    { requiredKeys: [] },
  );
const request = around(fc.oneof(leaf, around(leaf)));

/** The same JSON with the keys of every object the other way round. */
function reversed(json: unknown): unknown {
  if (Array.isArray(json)) return json.map(reversed);
  if (typeof json !== "object" || json === null) return json;
  const entries = Object.entries(json).map(([key, value]) => [key, reversed(value)]);
  return Object.fromEntries(entries.reverse());
}

test("equal requests have equal bytes, in whatever order the entries of their maps came", () => {
  fc.assert(
    fc.property(request, (json) => {
      const one = fromJson(desc, json as never);
      const other = fromJson(desc, reversed(json) as never);
      const before = toJson(desc, one);
      const bytes = canonicalBytes(desc, one);
      expect(Buffer.from(canonicalBytes(desc, other)).equals(bytes)).toBe(true);
      // They say what the message says, and the message still says it.
      expect(JSON.stringify(toJson(desc, one))).toBe(JSON.stringify(before));
      expect(toJson(desc, fromBinary(desc, bytes))).toEqual(before);
    }),
  );
});

test("requests that differ have bytes that differ", () => {
  fc.assert(
    fc.property(request, request, (a, b) => {
      const [one, other] = [fromJson(desc, a as never), fromJson(desc, b as never)];
      const isSame = JSON.stringify(sorted(toJson(desc, one))) === JSON.stringify(sorted(toJson(desc, other)));
      const isSameBytes = Buffer.from(canonicalBytes(desc, one)).equals(canonicalBytes(desc, other));
      expect(isSameBytes).toBe(isSame);
    }),
  );
});

test("a field that is not known stays", () => {
  const bytes = Uint8Array.of(0x2a, 1, 0x61, 0x98, 0x06, 7);
  expect([...canonicalBytes(desc, fromBinary(desc, bytes))]).toEqual([...bytes]);
});

function sorted(json: unknown): unknown {
  if (Array.isArray(json)) return json.map(sorted);
  if (typeof json !== "object" || json === null) return json;
  return Object.fromEntries(
    Object.entries(json)
      .map(([key, value]) => [key, sorted(value)] as const)
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  );
}
