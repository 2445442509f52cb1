import { createServer } from "node:http";
import { InMemorySpanExporter, type ReadableSpan } from "@opentelemetry/sdk-trace";
import { afterEach, describe, expect, test } from "vitest";
import { type RunningTelemetry, startTelemetry } from "../../src/telemetry/start-telemetry.ts";
import { step, stepBegins, stepChannel, stepEnds } from "../../src/telemetry/step-channel.ts";
import { outgoingTraceparent } from "../../src/telemetry/trace-context.ts";
import { type ScriptedMesh, scriptedMesh } from "../gateway/scripted-mesh.ts";

let telemetry: RunningTelemetry | undefined;
let mesh: ScriptedMesh | undefined;
afterEach(async () => {
  await mesh?.close();
  await telemetry?.close();
  mesh = undefined;
  telemetry = undefined;
});

const TRACE = "0af7651916cd43dd8448eb211c80319c";
const CALLER = `00-${TRACE}-b7ad6b7169203331-01`;

function traced(): InMemorySpanExporter {
  const exporter = new InMemorySpanExporter();
  // The exporter forgets on shutdown; the tests look after it.
  exporter.shutdown = async () => undefined;
  telemetry = startTelemetry({ serviceName: "test", instance: "1", environment: {}, spanExporter: exporter });
  return exporter;
}
const parentOf = (span: ReadableSpan | undefined) => span?.parentSpanContext?.spanId;

describe("spans", () => {
  test("a step inside a step is its child, also across awaits; a failed one has the error", async () => {
    const spans = traced();
    await step("test", "outer", {}, async (event) => {
      await Promise.resolve();
      event.facts.found = 3;
      await step("test", "inner", {}, async () => {
        throw new Error("broken on purpose");
      }).catch(() => undefined);
    });
    await telemetry?.close();
    const [inner, outer] = spans.getFinishedSpans();
    expect([inner?.name, outer?.name]).toEqual(["test inner", "test outer"]);
    expect(parentOf(inner)).toBe(outer?.spanContext().spanId);
    expect(outer?.attributes["skynetes.found"]).toBe(3);
    expect(inner?.status.message).toBe("broken on purpose");
  });

  test("a query continues its caller's trace, with a span for each step and each shard call, and passes it on", async () => {
    const spans = traced();
    mesh = await scriptedMesh(telemetry === undefined ? {} : { telemetry });
    await mesh.post("/v1/snapshots/s2/probe.v1.ProbeService/Echo", {}, { headers: { traceparent: CALLER } });
    await telemetry?.close();
    const all = spans.getFinishedSpans().filter((span) => span.spanContext().traceId === TRACE);
    const named = (name: string) => all.filter((span) => span.name === name);
    const [query] = named("gateway query");
    expect(parentOf(query)).toBe("b7ad6b7169203331");
    expect(query?.attributes).toMatchObject({ "skynetes.outcome": "complete", "skynetes.method": "Echo" });
    const [scatter] = named("gateway scatter");
    expect(parentOf(scatter)).toBe(query?.spanContext().spanId);
    const calls = named("gateway shard call");
    expect(calls.length).toBe(4);
    for (const call of calls) expect(parentOf(call)).toBe(scatter?.spanContext().spanId);
    const sent = mesh.allShards.map((shard) => shard.calls[0]?.metadata.get("traceparent")[0]);
    expect(sent.sort()).toEqual(calls.map((call) => `00-${TRACE}-${call.spanContext().spanId}-01`).sort());
    expect(named("gateway merge").length).toBe(1);
  });

  test("a caller that is not sampled is not sampled here", async () => {
    const spans = traced();
    await step("gateway", "query", { traceparent: `00-${TRACE}-b7ad6b7169203331-00` }, async () => undefined);
    await telemetry?.close();
    expect(spans.getFinishedSpans()).toEqual([]);
  });
});

describe("metrics", () => {
  test("queries, shard calls, mismatches, missing shards and the table are counted", async () => {
    telemetry = startTelemetry({ serviceName: "test", instance: "1", environment: {} });
    mesh = await scriptedMesh({ telemetry });
    mesh.shard(1).script.stamp = (right) => ({ ...right, snapshot: "s1" });
    await mesh.echo();
    await mesh.echo({}, "?completeness=partial");
    await mesh.echo({}, "", "nope");
    const { text, headers } = await mesh.get("/metrics");
    expect(headers.get("content-type")).toContain("text/plain; version=0.0.4");
    const line = (pattern: RegExp) => expect(text).toMatch(pattern);
    line(/^skynetes_queries_total\{service="probe.v1.ProbeService",method="Echo",outcome="stamp-mismatch".*\} 1$/m);
    line(/^skynetes_queries_total\{.*outcome="partial".*\} 1$/m);
    line(/^skynetes_queries_total\{service="",method="",outcome="unknown-snapshot".*\} 1$/m);
    line(/^skynetes_stamp_mismatches_total\{shard="1".*\} 4$/m);
    line(/^skynetes_missing_shards_total\{.*\} 1$/m);
    line(/^skynetes_shard_retries_total\{shard="1".*\} 2$/m);
    line(/^skynetes_query_duration_seconds_bucket\{.*le="0.025".*\} \d+$/m);
    // The second query had the others' partials from the first.
    line(/^skynetes_shard_call_duration_seconds_count\{shard="0",outcome="ok".*\} 1$/m);
    line(/^skynetes_cache_answers_total\{service="probe.v1.ProbeService",method="Echo",result="miss".*\} 1$/m);
    line(/^skynetes_cache_partials_total\{result="hit".*\} 3$/m);
    line(/^skynetes_cache_partials_total\{result="miss".*\} 1$/m);
    line(/^skynetes_cache_entries\{part="partials".*\} 3$/m);
    line(/^skynetes_cache_bytes\{part="partials".*\} [1-9]\d+$/m);
    line(/^skynetes_cache_evictions_total\{part="answers".*\} 0$/m);
    line(/^skynetes_table_epoch(\{.*\})? 1$/m);
    line(/^skynetes_queries_in_flight(\{.*\})? 0$/m);
    line(/^skynetes_latest_snapshot_age_seconds\{service="probe.v1.ProbeService".*\} \d+/m);
  });

  test("a stream that its reader left is counted as cancelled", async () => {
    telemetry = startTelemetry({ serviceName: "test", instance: "1", environment: {} });
    mesh = await scriptedMesh({ telemetry });
    for (const shard of mesh.allShards) shard.script.rows = Array.from({ length: 100_000 }, (_, i) => BigInt(i));
    const leave = new AbortController();
    const init = { method: "POST", signal: leave.signal };
    const reply = await fetch(mesh.url("/v1/snapshots/s2/probe.v1.ProbeService/Rows"), init);
    await reply.body?.getReader().read();
    leave.abort();
    await mesh.until(() => mesh?.allShards.every((shard) => shard.calls[0]?.cancelled) === true, "shards stop");
    expect((await mesh.get("/metrics")).text).toMatch(
      /^skynetes_queries_total\{.*method="Rows",outcome="cancelled".*\} 1$/m,
    );
  });

  test("what a client made up is no label", async () => {
    telemetry = startTelemetry({ serviceName: "test", instance: "1", environment: {} });
    mesh = await scriptedMesh({ telemetry });
    for (let i = 0; i < 5; i++) await mesh.echo({}, "", `made-up-${i}`);
    await mesh.post("/v1/snapshots/s2/made.up.Service/Echo", {}, { headers: { "x-skynetes-query-id": "made-up-id" } });
    expect((await mesh.get("/metrics")).text).not.toContain("made");
  });

  test("calls of a service are timed by how they came and how they ended", async () => {
    telemetry = startTelemetry({ serviceName: "test", instance: "1", environment: {} });
    await step("service", "call", { transport: "converse", method: "a.B/C" }, async () => undefined);
    const refused = step("service", "call", { transport: "unary" }, async ({ facts }) => {
      facts.fault = "overloaded";
      throw new Error("refused");
    });
    await refused.catch(() => {});
    const text = await telemetry.prometheusText();
    expect(text).toMatch(/^skynetes_service_call_duration_seconds_count\{transport="converse",outcome="ok".*\} 1$/m);
    expect(text).toMatch(
      /^skynetes_service_call_duration_seconds_count\{transport="unary",outcome="overloaded".*\} 1$/m,
    );
  });

  test("ingest is counted from its steps", async () => {
    telemetry = startTelemetry({ serviceName: "test", instance: "1", environment: {} });
    await step("node", "ingest batch", { topic: "t", shard: 0, rows: 7, rejects: 2 }, async () => undefined);
    const text = await telemetry.prometheusText();
    expect(text).toMatch(/^skynetes_ingested_rows_total\{topic="t",shard="0".*\} 7$/m);
    expect(text).toMatch(/^skynetes_rejected_records_total\{topic="t",shard="0".*\} 2$/m);
  });
});

describe("off and on", () => {
  test("nobody listens before telemetry is started, nor after it is closed", async () => {
    const listened = () => [stepChannel, stepBegins, stepEnds].map((channel) => channel.hasSubscribers);
    expect(listened()).toEqual([false, false, false]);
    traced();
    expect(listened()).toEqual([true, true, true]);
    await telemetry?.close();
    expect(listened()).toEqual([false, false, false]);
    expect(outgoingTraceparent()).toBeUndefined();
  });

  test("counting alone does not pay for the context that spans need", () => {
    telemetry = startTelemetry({ serviceName: "test", instance: "1", environment: {} });
    expect(stepEnds.hasSubscribers).toBe(true);
    expect(stepChannel.hasSubscribers).toBe(false);
  });

  test("a step that began before telemetry was started is not counted: nobody knows how long it took", async () => {
    const watch = () => {};
    const { promise, resolve } = Promise.withResolvers<void>();
    stepEnds.subscribe(watch);
    const early = step("node", "freeze", { shard: 3 }, () => promise);
    telemetry = startTelemetry({ serviceName: "test", instance: "1", environment: {} });
    await step("node", "freeze", { shard: 4 }, async () => undefined);
    resolve();
    await early;
    stepEnds.unsubscribe(watch);
    const text = await telemetry.prometheusText();
    expect(text).toMatch(/^skynetes_freeze_duration_seconds_count\{shard="4".*\} 1$/m);
    expect(text).not.toContain('shard="3"');
  });

  test("a step that throws before it has a promise is counted as failed", async () => {
    telemetry = startTelemetry({ serviceName: "test", instance: "1", environment: {} });
    const broken = step("node", "freeze", { shard: 1 }, () => {
      throw new Error("broken on purpose");
    });
    await expect(broken).rejects.toThrow("broken on purpose");
    const text = await telemetry.prometheusText();
    expect(text).toMatch(/^skynetes_freeze_duration_seconds_count\{shard="1",outcome="failed".*\} 1$/m);
  });

  test("with an OTLP endpoint spans and metrics are sent there when telemetry closes", async () => {
    const paths: string[] = [];
    const collector = createServer((request, response) => {
      paths.push(request.url ?? "");
      request.resume().on("end", () => response.writeHead(200).end());
    });
    await new Promise<void>((resolve) => collector.listen(0, "127.0.0.1", resolve));
    const { port } = collector.address() as { port: number };
    const endpoint = `http://127.0.0.1:${port}`;
    process.env.OTEL_EXPORTER_OTLP_ENDPOINT = endpoint;
    try {
      telemetry = startTelemetry({ serviceName: "test", instance: "1", environment: process.env });
      await step("node", "freeze", { shard: 0 }, async () => undefined);
      await telemetry.close();
      expect(paths.sort()).toEqual(["/v1/metrics", "/v1/traces"]);
    } finally {
      delete process.env.OTEL_EXPORTER_OTLP_ENDPOINT;
      await new Promise((resolve) => collector.close(resolve));
    }
  });

  test("a collector that is away delays closing for two seconds at most", async () => {
    const silent = createServer(() => undefined);
    await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
    const { port } = silent.address() as { port: number };
    process.env.OTEL_EXPORTER_OTLP_ENDPOINT = `http://127.0.0.1:${port}`;
    try {
      telemetry = startTelemetry({ serviceName: "test", instance: "1", environment: process.env });
      await step("test", "work", {}, async () => undefined);
      const begun = Date.now();
      await telemetry.close();
      expect(Date.now() - begun).toBeLessThan(4_000);
    } finally {
      delete process.env.OTEL_EXPORTER_OTLP_ENDPOINT;
      silent.closeAllConnections();
      await new Promise((resolve) => silent.close(resolve));
    }
  });
});
