import { readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Fault } from "../../src/fault/fault.ts";
import { checkedManifestOf, checkedManifestText } from "../../src/manifest/checked-manifest.ts";
import { loadManifest } from "../../src/manifest/load-manifest.ts";
import { parseManifest } from "../../src/manifest/parse-manifest.ts";

const FLIGHTS = join(import.meta.dirname, "../../examples/flights/mesh.yaml");
const text = readFileSync(FLIGHTS, "utf8");

/** What is wrong with a manifest, as `line path: message`, or nothing. */
function mistakes(manifest: string, file = "mesh.yaml"): readonly string[] {
  try {
    parseManifest(manifest, { file });
    return [];
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    expect(error.id).toBe("invalid-manifest");
    const [, ...lines] = error.message.split("\n");
    if (lines.length <= 100) expect(error.detail.errors).toHaveLength(lines.length);
    return lines.map((line) => line.trim().replace(`${file}:`, ""));
  }
}

/** The example with one text replaced by another. */
function altered(from: string, to: string): string {
  expect(text).toContain(from);
  return text.replace(from, to);
}

test("the flights example says what its comments say", async () => {
  const manifest = await loadManifest(FLIGHTS);
  // As other processes get it.
  expect(checkedManifestOf(checkedManifestText(manifest))).toEqual(manifest);
  expect(checkedManifestOf(text)).toBeUndefined();
  expect(manifest.mesh.placements).toEqual([["node-a"], ["node-b"], ["node-a"], ["node-b"]]);
  expect(manifest.mesh.topics.map((t) => [t.name, t.partitions, t.timestamps])).toEqual([
    ["flights", 4, "NonDecreasing"],
    ["airports", 1, "None"],
  ]);
  expect(manifest.mesh.tables.map((t) => [t.name, t.kind, t.distribution, t.key])).toEqual([
    ["flights", "Append", "Sharded", []],
    ["airports", "Upsert", "Broadcast", ["iata"]],
  ]);
  expect(manifest.snapshots.map((s) => [s.id, s.asOfMs, s.pinned])).toEqual([
    ["q1-2001", Date.UTC(2001, 3, 1), true],
    ["h1-2001", undefined, true],
  ]);
  expect(manifest.versions.map((v) => v.transport)).toEqual(["stream", "stream", "stream"]);
  expect(manifest.versions.map((v) => v.env)).toEqual([
    { DELAYED_FROM_MINUTES: "1" },
    { DELAYED_FROM_MINUTES: "15" },
    {},
  ]);
});

test("a manifest with ten mistakes is told all ten at once, each with its place and what is allowed", () => {
  const manifest = `apiVersion: skynetes.io/v1alpha1
kind: Mesh
metadata:
  name: flights
spec:
  shards: "4"
  nodes: [{name: node-a}]
  topics:
    - name: flights
      format: JSON
      timestamps: NonDecreasing
      partition: 4
  tables:
    - name: flights
      topic: flight
      kind: Append
      columns: [{name: delay, type: INT46}]
    - name: airports
      topic: flights
      kind: Upsert
      columns: [{name: iata, type: STRING}]
  snapshots:
    schedule: every day
    keep: 3
    bindings: []
---
apiVersion: skynetes.io/v1alpha1
kind: ServiceVersion
metadata: {name: delay-v1-00000000}
spec:
  service: flights.v1.DelayService
  template: {module: ./delay.ts}
---
apiVersion: skynetes.io/v1alpha1
kind: Snapshot
metadata: {name: Q1}
spec:
  asOf: 2001-02-29T00:00:00Z
  bindings: [{service: flights.v1.DelayService, version: delay-v2-00000000}]
`;
  expect(mistakes(manifest)).toEqual([
    '6:11 spec.shards: found "4"; allowed: integer',
    "12:7 spec.topics[0].partition: unknown key; allowed: name, partitions, format, schema, timestamps, seed; did you mean partitions?",
    '15:14 spec.tables[0].topic: there is no topic "flight"; did you mean flights?',
    '17:37 spec.tables[0].columns[0].type: found "INT46"; allowed: BOOLEAN, INT32, INT64, DOUBLE, STRING, BYTES, DATE, TIMESTAMP, DECIMAL(p,s) (p 1 to 38, s at most p); did you mean INT64?',
    "18:7 spec.tables[1].key: is missing: an Upsert table needs a key",
    expect.stringMatching(/^23:15 spec\.snapshots\.schedule: found "every day"; allowed: a cron expression/),
    expect.stringMatching(
      /^29:18 metadata\.name: the template's hash is [0-9a-f]{8}, so its name is delay-v1-[0-9a-f]{8}$/,
    ),
    "36:18 metadata.name: found \"Q1\"; allowed: 1 to 63 of a-z, 0-9 and '-', neither first nor last a '-', and not 'latest'",
    expect.stringMatching(/^38:9 spec\.asOf: found "2001-02-29T00:00:00Z"; allowed: RFC 3339/),
    '39:58 spec.bindings[0].version: there is no ServiceVersion "delay-v2-00000000"; did you mean delay-v1-00000000?',
  ]);
});

describe("a mistake is found", () => {
  const cases: readonly (readonly [title: string, from: string, to: string, expected: RegExp])[] = [
    ["a key twice", "  shards: 4\n", "  shards: 4\n  shards: 5\n", /not valid YAML: map keys must be unique/],
    ["text that is no YAML", "nodes:\n", "nodes: [\n", /not valid YAML/],
    ["a bare number in env", 'MINUTES: "15"', "MINUTES: 15", /found number 15; allowed: string: put it in quotes/],
    ["an unknown kind", "kind: Snapshot", "kind: Snapshots", /found "Snapshots"; .* did you mean Snapshot\?/],
    ["another apiVersion", "skynetes.io/v1alpha1", "skynetes.io/v2", /apiVersion: found "skynetes.io\/v2"; allowed/],
    ["a name for a path", "name: flights\n", "name: ../flights\n", /metadata\.name: found "\.\.\/flights"; allowed/],
    ["no shards", "shards: 4", "shards: 0", /spec\.shards: found number 0; allowed: >= 1/],
    ["half a shard", "shards: 4", "shards: 2.5", /spec\.shards: found number 2.5; allowed: integer/],
    ["a node twice", "name: node-b", "name: node-a", /nodes\[1\]\.name: there is another node "node-a"/],
    ["partitions that are not shards", "format: JSON\n", "format: JSON\n      partitions: 3\n", /found 3; allowed: 4/],
    ["a key column that is not there", "key: [iata]\n      columns", "key: [iato]\n      columns", /did you mean iata/],
    [
      "a nullable key",
      "name: iata, type: STRING",
      "name: iata, type: STRING, nullable: true",
      /nullable; a key is not/,
    ],
    ["a key of floats", "name: iata, type: STRING", "name: iata, type: DOUBLE", /is a DOUBLE; a key needs/],
    ["a column twice, by case", "name: delay, type", "name: Date, type", /another column "Date"/],
    ["a decimal of 39 digits", "delay, type: INT64", '"delay", type: "DECIMAL(39,2)"', /found "DECIMAL\(39,2\)"/],
    ["a seed's column that is not there", "key: [origin]", "key: [orign]", /seed\.key\[0\]: .* did you mean origin\?/],
    [
      "a seed keyed unlike its table",
      "key: [iata]\n        fixed",
      "key: [name]\n        fixed",
      /is upserted by iata/,
    ],
    ["a seed of unknown format", "airports.csv", "airports.xls", /seed\.format: is missing/],
    [
      "a seed with two timestamps",
      "timestamp: date",
      "timestamp: date\n        fixedTimestamp: 2001-01-01T00:00:00Z",
      /not both/,
    ],
    ["a local time", "2001-04-01T00:00:00Z", "2001-04-01T00:00:00", /spec\.asOf: found .*; allowed: RFC 3339/],
    ["as of, unordered", "timestamps: NonDecreasing", "timestamps: Unordered", /spec\.asOf: .* needs allowInexactAsOf/],
    ["another template under the old name", 'MINUTES: "1"', 'MINUTES: "2"', /so its name is delay-v1-(?!2f1f2822)/],
    [
      "a version of another service",
      "version: network-v1-42086031",
      "version: delay-v1-2f1f2822",
      /is a version of flights\.v1\.DelayService, not of/,
    ],
    [
      "a service bound twice",
      "service: flights.v1.NetworkService\n      version: n",
      "service: flights.v1.DelayService\n      version: n",
      /another binding of "flights.v1.DelayService"/,
    ],
    ["a snapshot twice", "name: h1-2001", "name: q1-2001", /there is another Snapshot "q1-2001"/],
    ["a snapshot named latest", "name: h1-2001", "name: latest", /found "latest"; allowed/],
    ["a proto key", "  shards: 4\n", "  shards: 4\n  __proto__: {a: 1}\n", /spec\.__proto__: unknown key/],
    [
      "a placement on no node",
      "  topics:\n",
      "  placements: [{shard: 0, nodes: [node-c]}]\n  topics:\n",
      /there is no node "node-c"; did you mean node-/,
    ],
    [
      "a shard without placement",
      "  topics:\n",
      "  placements: [{shard: 0, nodes: [node-a]}]\n  topics:\n",
      /does not place shard 1, 2, 3/,
    ],
    [
      "a duration without unit",
      "  topics:\n",
      '  gateway: {deadlineMax: "30"}\n  topics:\n',
      /found "30"; allowed: a duration/,
    ],
    [
      "a time to keep without unit",
      "  topics:\n",
      '  snapshots: {schedule: "@hourly", keep: 3, keepFor: "7", bindings: []}\n  topics:\n',
      /keepFor: found "7"; allowed: a duration/,
    ],
    [
      "a grace without unit",
      "  topics:\n",
      '  retireGrace: "7"\n  topics:\n',
      /retireGrace: found "7"; allowed: a duration/,
    ],
    [
      "a size that is none",
      "  topics:\n",
      "  gateway: {bodyBytesMax: 1 MB}\n  topics:\n",
      /found "1 MB"; allowed: a size/,
    ],
    [
      "a transport that there is not",
      "  template:\n    module: ./network-service.ts",
      "  transport: udp\n  template:\n    module: ./network-service.ts",
      /spec\.transport: found "udp"; allowed/,
    ],
    ["a Mesh twice", "kind: ServiceVersion", "kind: Mesh", /there is another Mesh/],
  ];
  test.each(cases)("%s", (_, from, to, expected) => {
    expect(mistakes(altered(from, to))).toContainEqual(expect.stringMatching(expected));
  });

  test("a mistake whose message quotes several lines is one line", () => {
    const found = mistakes(text.replace("#", '"\\U\n#'));
    expect(found).toContainEqual(expect.stringMatching(/^1:2 not valid YAML: invalid escape sequence \\U\\n#/));
  });

  test("an alias bomb", () => {
    const levels = ["a: &a [x, x, x, x, x, x, x, x]"];
    for (const [to, of] of ["ba", "cb", "dc", "ed"].map((pair) => [...pair])) {
      levels.push(`${to}: &${to} [${Array(8).fill(`*${of}`).join(", ")}]`);
    }
    expect(mistakes(levels.join("\n"))).toEqual([expect.stringMatching(/not valid YAML: excessive alias count/)]);
  });

  test("a file without documents, of only comments, too large, or that is a list", () => {
    expect(mistakes("")).toEqual(["1:1 the file has no documents"]);
    expect(mistakes("# nothing\n")).toEqual(["1:1 the file has no documents"]);
    expect(mistakes(`# ${"x".repeat(1024 * 1024)}`)).toEqual(["1:1 the file is larger than 1048576 bytes"]);
    expect(mistakes("- 1\n")).toContainEqual("1:1 is not a map with apiVersion, kind, metadata and spec");
  });

  test("a seed that is not there, and a file that is not there", async () => {
    const seeded = () => parseManifest(text, { file: FLIGHTS, seedExists: (_, file) => !file.endsWith(".csv") });
    expect(seeded).toThrow(/spec\.topics\[1\]\.seed\.file: there is no file "npm:vega-datasets\/data\/airports\.csv"/);
    await expect(loadManifest("/nowhere/mesh.yaml")).rejects.toMatchObject({ id: "invalid-manifest" });
  });
});

test("whatever the text, there is a manifest or a fault that says where", () => {
  const lines = text.split("\n");
  const edit = fc.record({
    at: fc.nat(lines.length - 1),
    to: fc.oneof(fc.constantFrom("", "  - x", "spec: 1", "? [a]", "a: *b"), fc.string()),
  });
  fc.assert(
    fc.property(fc.array(edit, { minLength: 1, maxLength: 4 }), (edits) => {
      const copy = [...lines];
      for (const { at, to } of edits) copy[at] = to;
      for (const line of mistakes(copy.join("\n"))) expect(line).toMatch(/^(\d+:\d+ |and \d+ more)/);
    }),
    { numRuns: 300 },
  );
});
