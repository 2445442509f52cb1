import { create, fromBinary } from "@bufbuild/protobuf";
import { afterEach, beforeEach, expect, test } from "vitest";
import { ExplainMode, GatewayService } from "../../src/wire/generated/skynetes/v1/gateway_pb.ts";
import { unaryClient } from "../../src/wire/grpc-service.ts";
import { type ScriptedMesh, SERVICE, scriptedMesh, V2 } from "./scripted-mesh.ts";

let mesh: ScriptedMesh;
beforeEach(async () => {
  mesh = await scriptedMesh({ everyQueryScatters: true });
  for (const shard of mesh.allShards) shard.script = { rows: [1n, 2n, 3n] };
});
afterEach(() => mesh.close());

interface Visit {
  readonly shard: number;
  readonly round: number;
  readonly bytes: number;
  readonly fault?: string;
}
const shardsOf = (visits: readonly Visit[]) => visits.map(({ shard, round }) => [shard, round]);

test("explain=profile answers, and tells for each shard how", async () => {
  const plain = await mesh.echo({ number: "7" });
  const { json, headers, status } = await mesh.echo({ number: "7" }, "?explain=profile");
  expect(status).toBe(200);
  const { profile, ...answer } = json;
  expect(answer).toEqual(plain.json);
  expect(shardsOf(profile.shards)).toEqual([0, 1, 2, 3].map((shard) => [shard, 1]));
  for (const visit of profile.shards) {
    expect(visit).toMatchObject({ bytes: 2, cached: false });
    expect(visit.answerMs).toBeGreaterThan(0);
    expect(visit.mergeMs).toBeGreaterThanOrEqual(0);
  }
  expect(profile.totals).toMatchObject({ rounds: 1, questions: 4, failed: 0, bytes: 8 });
  expect(Object.keys(profile.totals.stepMs)).toEqual(["resolve", "admit", "scatter", "merge"]);
  expect(profile.text).toContain(`${SERVICE}/Echo at snapshot s2, version ${V2}, epoch 1`);
  expect([headers.get("etag"), headers.get("cache-control")]).toEqual([null, "no-store"]);
  expect(mesh.shard(0).calls.length).toBe(2);
});

test("it is never tagged, kept or taken for what a client has, also at a pinned version", async () => {
  const path = `/v1/snapshots/s2/${SERVICE}@${V2}/Echo`;
  const etag = (await mesh.get(path)).headers.get("etag") as string;
  expect((await mesh.get(path, { headers: { "if-none-match": etag } })).status).toBe(304);
  const reply = await mesh.get(`${path}?explain=profile`, { headers: { "if-none-match": etag } });
  expect([reply.status, reply.headers.get("etag"), reply.headers.get("cache-control")]).toEqual([
    200,
    null,
    "no-store",
  ]);
});

test("a shard that was given up is in it with its fault", async () => {
  mesh.shard(2).script = { fail: () => ({ code: 14, details: "away" }) };
  const { json } = await mesh.echo({}, "?explain=profile&completeness=partial");
  expect(json.completeness.complete).toBe(false);
  expect(json.profile.shards.map((visit: Visit) => visit.fault ?? "")).toEqual(["", "", "shard-unavailable", ""]);
  expect(json.profile.totals.failed).toBe(1);
});

test("a stream tells at its end", async () => {
  const { text } = await mesh.post(`/v1/snapshots/s2/${SERVICE}/Rows?explain=profile`, {});
  const lines = text.trimEnd().split("\n");
  expect(lines.length).toBe(13);
  const { $end } = JSON.parse(lines.at(-1) as string);
  expect($end.completeness.complete).toBe(true);
  expect($end.profile.shards.map((visit: { rows: number }) => visit.rows)).toEqual([3, 3, 3, 3]);
});

test("a query that asks for none has none", async () => {
  expect((await mesh.echo()).json.profile).toBeUndefined();
  const { text } = await mesh.post(`/v1/snapshots/s2/${SERVICE}/Rows`, {});
  expect(text).not.toContain("profile");
});

test("GatewayService.Explain gives the same with the answer's message", async () => {
  const gateway = unaryClient(GatewayService, mesh.gateway.grpcAddress);
  const asked = { snapshot: "latest", service: SERVICE, mode: ExplainMode.PROFILE };
  try {
    const unary = await gateway.explain({ ...asked, method: "Echo" }, { timeoutMs: 5_000 });
    const method = mesh.desc.methods.find(({ name }) => name === "Echo")!;
    expect(fromBinary(method.output, unary.answer)).toEqual(create(method.output, { rows: 4n } as never));
    expect(unary.completeness?.complete).toBe(true);
    expect(shardsOf(JSON.parse(unary.json).shards).length).toBe(4);
    expect(unary.text).toContain("4 questions in 1 round");
    const stream = await gateway.explain({ ...asked, method: "Rows" }, { timeoutMs: 5_000 });
    expect([stream.answer.length, stream.completeness?.complete]).toEqual([0, true]);
    expect(JSON.parse(stream.json).shards[0].rows).toBe(3);
    expect((await mesh.get("/v1/queries")).json.queries).toEqual([]);
  } finally {
    gateway.close();
  }
});
