/**
 * `merge`: what it takes to make one answer of many partials, from their wire bytes to the answer's.
 */
import { create, type DescMethod, type Message, toBinary } from "@bufbuild/protobuf";
import { type DuckDBConnection, DuckDBInstance, BIGINT, VARCHAR, DuckDBDataChunk } from "@duckdb/node-api";
import { interpretedMerge } from "../../src/gateway/merge/interpreted-merge.ts";
import { startMerge } from "../../src/gateway/merge/start-merge.ts";
import { compileMethod } from "../../src/merge-plan/compile-method.ts";
import { methodsOf, rule } from "../../test/merge-plan/annotated-service.ts";
import type { BenchReport } from "../bench.ts";

const METHOD = methodsOf({
  messages: {
    Req: [],
    Entry: [
      { name: "k", type: "string" },
      { name: "a", type: "int64", merge: rule("sum") },
      { name: "b", type: "int64", merge: rule("sum") },
      { name: "c", type: "int64", merge: rule("sum") },
    ],
    Res: [{ name: "groups", type: "repeated Entry", merge: rule("group", { key: ["k"] }) }],
  },
})[0]!;
const PLAN = compileMethod(METHOD);
const LIMITS = { groupBytesMax: 2 ** 31 };

function partials(shards: number, groups: number): Uint8Array[] {
  return Array.from({ length: shards }, (_, shard) => {
    const entries = Array.from({ length: groups }, (_, index) => {
      const n = (index * 7919 + shard * 104729) % groups;
      return { k: `group-${n}`, a: BigInt(n * 17 + shard), b: BigInt(n % 1000), c: BigInt((n * 31) % 100_000) };
    });
    return toBinary(METHOD.output, create(METHOD.output, { groups: entries } as never));
  });
}

function timed(kind: typeof startMerge, inputs: readonly Uint8Array[]) {
  const t0 = process.cpuUsage(); const cpu = () => { const u = process.cpuUsage(t0); return (u.user + u.system) / 1000; };
  const merge = kind(PLAN, create(METHOD.input), [...inputs.keys()], LIMITS);
  const requests = merge.begin();
  for (const [shard, message] of inputs.entries()) {
    merge.accept({ shard, request: requests[shard]!, message, bounds: undefined });
  }
  const mid = cpu();
  const out = merge.finish();
  return [mid, cpu() - mid, out.reduce((s, p) => s + p.length, 0)];
}
export async function run(): Promise<BenchReport> {
  const rows = [];
  for (const [shards, groups] of [[1000, 1000], [16, 100_000]] as const) {
    const inputs = partials(shards, groups);
    for (let i = 0; i < 5; i++) {
      const [accept, finish, bytes] = timed(startMerge, inputs);
      rows.push({ shards, groups, accept: accept!, finish: finish!, bytes: bytes!, ns: (1e6 * (accept! + finish!)) / shards / groups });
    }
  }
  return { rows };
}
