import { afterEach, describe, expect, test } from "vitest";
import { type RunningTelemetry, startTelemetry } from "../../src/telemetry/start-telemetry.ts";
import { type MeshOptions, type ScriptedMesh, SERVICE, scriptedMesh } from "./scripted-mesh.ts";

let mesh: ScriptedMesh;
let telemetry: RunningTelemetry | undefined;
afterEach(async () => {
  await mesh.close();
  await telemetry?.close();
  telemetry = undefined;
});
const start = async (options?: MeshOptions) => {
  mesh = await scriptedMesh({ replicas: 2, everyQueryScatters: true, ...options });
};
const forEver = () => new Promise<void>(() => undefined);
const callsOf = (shard: number) => mesh.shards[shard]!.flatMap(({ calls }) => calls);

/** What a shard says depends on nothing but the shard; its first `count` calls, at whichever replica, say nothing. */
function stallFirst(shard: number, count: number, stall: "delay" | "before" = "delay"): void {
  let number = 0;
  for (const replica of mesh.shards[shard]!) {
    replica.script = {
      ...replica.script,
      [stall]: () => (number++ < count ? forEver() : Promise.resolve()),
    };
  }
}

describe("with a shard that stalls", () => {
  test("the other replica answers: the same bytes and tag, each shard once in it, and the stalled call is cancelled", async () => {
    await start();
    for (const [shard, replicas] of mesh.shards.entries()) {
      for (const replica of replicas)
        replica.script = { echo: () => ({ rows: BigInt(10 ** shard), text: `t${shard}` }) };
    }
    const calm = await mesh.echo({ number: "7" });
    for (let round = 0; round < 5; round++) {
      const shard = round % 4;
      for (const replica of mesh.shards[shard]!) replica.calls.length = 0;
      stallFirst(shard, 1);
      const hedged = await mesh.echo({ number: "7" });
      expect([hedged.status, hedged.text]).toEqual([200, calm.text]);
      expect(hedged.json.answer.rows).toBe("1111");
      expect(hedged.headers.get("etag")).toBe(calm.headers.get("etag"));
      await mesh.until(() => callsOf(shard).length === 2, "two calls");
      await mesh.until(() => callsOf(shard).some(({ cancelled }) => cancelled), "the stalled call is cancelled");
      expect(mesh.shards[shard]!.map(({ calls }) => calls.length)).toEqual([1, 1]);
    }
  });

  test("a stream that has not vouched for itself is opened at the other replica: the same rows", async () => {
    await start();
    for (const [shard, replicas] of mesh.shards.entries()) {
      for (const replica of replicas) replica.script = { rows: [BigInt(shard), BigInt(shard + 10)] };
    }
    const rows = () => mesh.post(`/v1/snapshots/s2/${SERVICE}/Rows`, {});
    const calm = await rows();
    stallFirst(2, 1, "before");
    const hedged = await rows();
    expect([hedged.status, hedged.text]).toEqual([200, calm.text]);
    await mesh.until(() => callsOf(2).some(({ cancelled }) => cancelled), "the stalled stream is cancelled");
  });

  test("nothing is hedged where answers may differ from call to call", async () => {
    await start({ nondeterministic: true });
    stallFirst(1, 1);
    const reply = await mesh.echo({}, "?timeout=700ms");
    expect(reply.status).toBe(504);
    expect(callsOf(1).length).toBeLessThanOrEqual(1);
  });
});

test("replicas that differ are told of in the metrics and in the log, and in no answer", async () => {
  telemetry = startTelemetry({ serviceName: "test", instance: "1", environment: {} });
  // A budget that audits cannot use up: which of them meet the shard is left to chance.
  await start({ telemetry, shards: 2, limits: { auditShare: 1, hedgeShare: 1 } });
  const [a, b] = mesh.shards[1]!;
  a!.script = { echo: () => ({ rows: 1n }) };
  b!.script = { echo: () => ({ rows: 2n }) };
  const divergence =
    /^skynetes_replica_divergence_total\{(?=.*shard="1")(?=.*snapshot="s2")(?=.*"node-a")(?=.*"node-b").*\} \d+$/m;
  const agreement = /^skynetes_replica_audits_total\{.*outcome="equal".*\} \d+$/m;
  let metrics = "";
  for (const end = Date.now() + 20_000; Date.now() < end; ) {
    const reply = await mesh.echo({});
    expect([reply.status, ["2", "3"].includes(reply.json.answer.rows)]).toEqual([200, true]);
    metrics = (await mesh.get("/metrics")).text;
    if (divergence.test(metrics) && agreement.test(metrics)) break;
  }
  expect(metrics).toMatch(divergence);
  expect(metrics).toMatch(agreement);
  expect(metrics).not.toMatch(/^skynetes_replica_divergence_total\{.*shard="0"/m);
});
