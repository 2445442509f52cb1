import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { create, type DescService, fromJson, type JsonValue } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { DelayService } from "../../../examples/flights/generated/flights/v1/delay_pb.ts";
import { NetworkService } from "../../../examples/flights/generated/flights/v1/network_pb.ts";
import { shardPruning } from "../../../src/gateway/plan/shard-pruning.ts";
import type { PreparedQuery } from "../../../src/gateway/query/prepared-query.ts";
import { explainQuery } from "../../../src/gateway/reply/explain-query.ts";
import { compileService } from "../../../src/merge-plan/compile-method.ts";
import { type ShardSeal, ShardSealSchema } from "../../../src/wire/generated/skynetes/v1/seal_pb.ts";

const GOLDEN = join(import.meta.dirname, "../../golden/explain");

/** Four quarters of a year, one on each shard. */
const SEALS = ["01", "04", "07", "10"].map((month, shard): ShardSeal => {
  const last = String(Number(month) + 2).padStart(2, "0");
  const columns = [
    { column: "date", nulls: 0n, min: `2001-${month}-01T00:00:00Z`, max: `2001-${last}-28T23:59:59Z` },
    { column: "origin", nulls: 0n, min: "ABE", max: shard === 3 ? "LAX" : "YUM" },
  ];
  return create(ShardSealSchema, {
    shard,
    rows: BigInt(1000 + shard),
    tables: [{ table: "flights", rows: 1000n, columns }],
  });
});

const PLACEMENTS = [["a", "b"], ["b"], ["a"], ["b"]];

function prepared(service: DescService, method: string, json: JsonValue): PreparedQuery {
  const plan = compileService(service).get(method)!;
  const request = fromJson(plan.method.input, json);
  const pruned = new Map(shardPruning(plan, request, SEALS).map(({ shard, reason }) => [shard, reason]));
  const endpoints = new Map(PLACEMENTS.map((nodes, i) => [i, nodes.map((node) => ({ node, address: `${node}:1` }))]));
  const version = { name: "delay-v2-d13d097f", service: service.typeName };
  const state = { epoch: 12n, endpoints: new Map([[version.name, endpoints]]) };
  const snapshot = { id: "y-2001", shardSeals: new Map(SEALS.map((seal) => [seal.shard, seal])) };
  const asked = [0, 1, 2, 3].filter((shard) => !pruned.has(shard));
  const resolved = { plan, snapshot, version, state, pinned: false };
  return { id: "q", request, resolved, asked, pruned, tag: '"tag"', timings: new Map() } as unknown as PreparedQuery;
}

const QUESTIONS: readonly (readonly [string, DescService, string, JsonValue])[] = [
  ["aggregate", DelayService, "Summarize", {}],
  ["aggregate-pruned", DelayService, "Summarize", { from: "2001-05-01T00:00:00Z", to: "2001-08-01T00:00:00Z" }],
  ["pruned-to-nothing", DelayService, "Summarize", { from: "2002-01-01T00:00:00Z" }],
  ["groups", DelayService, "DailyCounts", { origin: "SFO" }],
  ["top-k", DelayService, "TopDestinations", { limit: 3, order: "ORDER_MEAN_DELAY" }],
  ["top-k-key-filter", DelayService, "TopDestinations", { only: ["LAX", "SFO"] }],
  ["top-k-fixed-order", NetworkService, "Busiest", { limit: 2, offset: 4 }],
  ["distinct", NetworkService, "Reach", { origins: ["LAX"] }],
  ["stream", DelayService, "Search", { origin: "SFO", limit: 10 }],
];

test.each(QUESTIONS)("explain=plan of %s is as its golden file", (name, service, method, request) => {
  const { text, ...facts } = explainQuery(prepared(service, method, request));
  const explained = `${text.trimEnd()}\n\n${JSON.stringify(facts, null, 2)}\n`;
  const file = join(GOLDEN, `${name}.txt`);
  if (process.env.UPDATE_GOLDEN !== undefined) writeFileSync(file, explained);
  expect(existsSync(file), `${file} is missing: run with UPDATE_GOLDEN=1 and read what it wrote`).toBe(true);
  expect(explained).toBe(readFileSync(file, "utf8"));
});
