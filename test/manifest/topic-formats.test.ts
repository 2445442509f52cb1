import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FieldDescriptorProto_Type as Type } from "@bufbuild/protobuf/wkt";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { checkedManifestOf, checkedManifestText } from "../../src/manifest/checked-manifest.ts";
import { loadManifest } from "../../src/manifest/load-manifest.ts";
import { parseManifest } from "../../src/manifest/parse-manifest.ts";
import { avroSchema, protobufSchema } from "../row-format/schemas.ts";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "skynetes-formats-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

/** A manifest of one topic with one table of an INT64 `id`. */
function manifestText(topic: object): string {
  return JSON.stringify({
    apiVersion: "skynetes.io/v1alpha1",
    kind: "Mesh",
    metadata: { name: "formats" },
    spec: {
      shards: 1,
      nodes: [{ name: "node-a" }],
      topics: [{ name: "events", timestamps: "None", ...topic }],
      tables: [{ name: "events", topic: "events", kind: "Append", columns: [{ name: "id", type: "INT64" }] }],
    },
  });
}

const AVRO = avroSchema({ id: "long" });
const PROTOBUF = protobufSchema({ id: Type.INT64 });

test("a schema is read beside the manifest, and other processes get it with the manifest", async () => {
  writeFileSync(join(directory, "event.avsc"), AVRO.text);
  writeFileSync(join(directory, "event.binpb"), Buffer.from(PROTOBUF.text, "base64"));
  const file = join(directory, "mesh.yaml");

  writeFileSync(file, manifestText({ format: "Avro", schema: { file: "event.avsc", registryId: 3 } }));
  const avro = await loadManifest(file);
  expect(avro.mesh.topics[0]).toMatchObject({ format: "Avro", schema: { text: AVRO.text, registryId: 3 } });
  expect(checkedManifestOf(checkedManifestText(avro))?.mesh.topics[0]).toEqual(
    JSON.parse(JSON.stringify(avro.mesh.topics[0])),
  );

  writeFileSync(file, manifestText({ format: "Protobuf", schema: { file: "event.binpb", message: "test.v1.Row" } }));
  const protobuf = await loadManifest(file);
  expect(protobuf.mesh.topics[0]?.schema).toEqual({ text: PROTOBUF.text, message: "test.v1.Row" });
});

test("a schema may stand in the manifest", () => {
  const { mesh } = parseManifest(manifestText({ format: "Avro", schema: AVRO }), { file: "mesh.yaml" });
  expect(mesh.topics[0]?.schema).toEqual(AVRO);
});

describe("a mistake is told with its place", () => {
  test.each([
    ["none", { format: "Avro" }, /topics\[0\]\.schema: is missing: format Avro is read by one/],
    ["of JSON", { format: "JSON", schema: AVRO }, /topics\[0\]\.schema: a JSON topic has none/],
    ["neither file nor text", { format: "Avro", schema: {} }, /topics\[0\]\.schema: either file or text/],
    ["both", { format: "Avro", schema: { ...AVRO, file: "a.avsc" } }, /topics\[0\]\.schema: either file or text/],
    ["no message", { format: "Protobuf", schema: { text: PROTOBUF.text } }, /schema\.message: is missing/],
    ["a message of Avro", { format: "Avro", schema: { ...AVRO, message: "a.B" } }, /schema\.message: is of Protobuf/],
    ["no file", { format: "Avro", schema: { file: "no.avsc" } }, /schema\.file: "no\.avsc" cannot be read/],
    [
      "no Avro",
      { format: "Avro", schema: { text: "{" } },
      /topics\[0\]\.schema: no Avro schema that rows can be made of/,
    ],
    [
      "a column that it lacks",
      { format: "Avro", schema: avroSchema({ other: "long" }) },
      /tables\[0\]\.columns\[0\]: the schema has no such field/,
    ],
    [
      "a column of another type",
      { format: "Protobuf", schema: protobufSchema({ id: Type.BOOL }) },
      /tables\[0\]\.columns\[0\]: a field of type bool is no INT64/,
    ],
    [
      "a format that there is not",
      { format: "Thrift" },
      /topics\[0\]\.format: found "Thrift"; allowed: JSON, Avro, Protobuf/,
    ],
  ])("%s", (_name, topic, expected) => {
    expect(() => parseManifest(manifestText(topic), { file: "mesh.yaml" })).toThrow(expected);
  });
});
