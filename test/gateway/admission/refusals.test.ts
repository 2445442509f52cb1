import { Agent, request as httpRequest } from "node:http";
import { connect } from "node:net";
import { Client, credentials, type ServiceError } from "@grpc/grpc-js";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { GatewayLimits } from "../../../src/gateway/gateway-config.ts";
import { type RunningTelemetry, startTelemetry } from "../../../src/telemetry/start-telemetry.ts";
import { faultFromStatus } from "../../../src/wire/fault-status.ts";
import { type HttpReply, type ScriptedMesh, SERVICE, scriptedMesh } from "../scripted-mesh.ts";

/** A gateway through real doors, one query at its shards and one waiting: whoever comes now is refused. */
let mesh: ScriptedMesh;
let telemetry: RunningTelemetry;
let release: () => void;
let running: Promise<HttpReply>[];
afterEach(async () => {
  release();
  await Promise.allSettled(running);
  await mesh.close();
  await telemetry.close();
});

const FULL = { queriesMax: 1, queueMax: 1, queueWaitMaxMs: 60_000 };

async function start(limits: Partial<GatewayLimits>): Promise<void> {
  telemetry = startTelemetry({ serviceName: "test", instance: "a", environment: {} });
  mesh = await scriptedMesh({ shards: 1, everyQueryScatters: true, limits, telemetry });
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  mesh.shard(0).script = { delay: () => held };
  running = [];
}

const ask = (id: string) => {
  const reply = mesh.post(`/v1/snapshots/s2/${SERVICE}/Echo`, {}, { headers: { "x-skynetes-query-id": id } });
  running.push(reply);
  return reply;
};
const ids = async () => (await mesh.get("/v1/queries")).json.queries.map((query: { id: string }) => query.id);
const problem = (reply: HttpReply) => [reply.status, reply.json?.type?.replace("https://skynetes.io/problems/", "")];
async function metric(name: string): Promise<number> {
  const { text } = await mesh.get("/metrics");
  const line = text.split("\n").find((candidate) => candidate.startsWith(name));
  return Number(line?.split(" ").at(-1));
}

describe("a gateway that is full", () => {
  beforeEach(async () => {
    await start(FULL);
    void ask("first");
    await mesh.until(() => mesh.shard(0).calls.length === 1, "the first is at its shard");
    void ask("second");
    await expect.poll(ids).toEqual(["first", "second"]);
  });

  test("refuses before it reads the body, with advice, and registers nothing", async () => {
    const headers = { "x-skynetes-query-id": "mine" };
    const reply = await mesh.post(`/v1/snapshots/s2/${SERVICE}/Echo`, "{no JSON", { headers });
    expect(problem(reply)).toEqual([503, "overloaded"]);
    expect(reply.json).toMatchObject({ retryable: true, code: "UNAVAILABLE", queryId: "mine" });
    expect(reply.json.retryAfterMs).toBeGreaterThanOrEqual(200);
    expect(Number(reply.headers.get("retry-after"))).toBe(Math.ceil(reply.json.retryAfterMs / 1000));
    expect(reply.headers.get("content-type")).toBe("application/problem+json; charset=utf-8");
    expect(reply.headers.get("cache-control")).toBe("no-store");
    expect(await ids()).toEqual(["first", "second"]);
    expect(await metric('skynetes_admission_refusals_total{reason="full"')).toBe(1);
  });

  test("keeps the connection of a refused client, whose body it skips", async () => {
    const [host, port] = mesh.gateway.httpAddress.split(":") as [string, string];
    const socket = connect(Number(port), host);
    let text = "";
    socket.on("data", (bytes) => {
      text += bytes;
    });
    const body = JSON.stringify({ text: "x".repeat(100_000) });
    const head = `POST /v1/snapshots/s2/${SERVICE}/Echo HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n`;
    socket.write(`${head}content-length: ${body.length}\r\n\r\n`);
    await mesh.until(() => text.includes("problems/overloaded"), "it is refused at once");
    socket.write(body);
    socket.write("GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n");
    await mesh.until(() => text.includes('"alive"'), "the next request on the same connection is answered");
    expect(text.match(/HTTP\/1.1 \d+/g)).toEqual(["HTTP/1.1 503", "HTTP/1.1 200"]);
    socket.destroy();
  });

  test("every one of many is refused, on connections that are used again", async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 20 });
    const body = JSON.stringify({ text: "x".repeat(2_000) });
    const one = () => {
      return new Promise<number | undefined>((resolve, reject) => {
        const options = { method: "POST", agent, headers: { "content-type": "application/json" } };
        const request = httpRequest(mesh.url(`/v1/snapshots/s2/${SERVICE}/Echo`), options, (response) => {
          response.resume().on("end", () => resolve(response.statusCode));
        });
        request.on("error", reject).end(body);
      });
    };
    let connections = 0;
    agent.on("free", () => {
      connections = Math.max(connections, Object.values(agent.sockets).flat().length);
    });
    const statuses = await Promise.all(Array.from({ length: 1_000 }, one));
    expect(new Set(statuses)).toEqual(new Set([503]));
    expect(connections).toBeLessThanOrEqual(20);
    agent.destroy();
  });

  test("refuses over gRPC alike", async () => {
    const client = new Client(mesh.gateway.grpcAddress, credentials.createInsecure());
    const asIs = (bytes: Buffer) => bytes;
    for (const method of ["Echo", "Rows"]) {
      const error = await new Promise<ServiceError>((resolve) => {
        client
          .makeServerStreamRequest(`/${SERVICE}/${method}`, asIs, asIs, Buffer.from([0xff]), {
            deadline: Date.now() + 10_000,
          })
          .on("error", (e) => resolve(e as ServiceError))
          .resume();
      });
      const fault = faultFromStatus(error, "ask");
      expect(fault.id).toBe("overloaded");
      expect(fault.detail.retryAfterMs).toBeGreaterThanOrEqual(200);
    }
    client.close();
  });

  test("refuses sets of answers, and goes on telling about itself", async () => {
    const set = { queries: { a: { call: `${SERVICE}/Echo` } } };
    expect(problem(await mesh.post("/v1/snapshots/s2", set))).toEqual([503, "overloaded"]);
    for (const path of ["/healthz", "/readyz", "/metrics", "/v1/mesh", "/v1/snapshots", "/v1/snapshots/s2"]) {
      expect([path, (await mesh.get(path)).status]).toEqual([path, 200]);
    }
    const { status } = await mesh.get("/v1/queries/none", { method: "DELETE" });
    expect(status).toBe(404);
    expect((await mesh.admin.getGatewayStatus({}, { timeoutMs: 5_000 })).epoch).toBe(1n);
    expect(await metric("skynetes_admission_limit")).toBe(1);
    expect(await metric("skynetes_admission_in_flight")).toBe(1);
    expect(await metric("skynetes_admission_waiting")).toBe(1);
  });

  test("a query that waits is cancelled by its id, and its place is free at once", async () => {
    expect((await mesh.get("/v1/queries/second", { method: "DELETE" })).status).toBe(204);
    expect(problem(await running[1]!)).toEqual([499, "cancelled"]);
    expect(mesh.shard(0).calls.length).toBe(1);
    void ask("third");
    await expect.poll(ids).toEqual(["first", "third"]);
  });

  test("those that wait are answered when it is their turn", async () => {
    release();
    expect((await Promise.all(running)).map((reply) => reply.status)).toEqual([200, 200]);
    expect((await mesh.echo()).status).toBe(200);
    expect(await metric("skynetes_admission_in_flight")).toBe(0);
    expect(await metric('skynetes_admission_wait_duration_seconds_count{outcome="admitted"')).toBe(1);
  });
});

describe("whatever a query ends with, its slot is free again", () => {
  test.each([
    ["a fault of a shard", { fail: () => ({ code: 13, details: "broken on purpose" }) }, "", 502],
    ["a partial answer refused", { fail: () => ({ code: 14, details: "away" }) }, "?completeness=partial", 503],
    ["its deadline", { delay: () => new Promise<void>(() => undefined) }, "?timeout=50ms", 504],
  ] as const)("%s", async (_what, script, query, status) => {
    await start({ queriesMax: 1, queueMax: 0 });
    mesh.shard(0).script = { ...script };
    expect((await mesh.echo({}, query)).status).toBe(status);
    mesh.shard(0).script = {};
    expect((await mesh.echo()).status).toBe(200);
  });

  test("a stream gives it back when its shards have vouched, not when its reader is done", async () => {
    await start({ queriesMax: 1, queueMax: 1 });
    mesh.shard(0).script = { rows: Array.from({ length: 20_000 }, (_, i) => BigInt(i)), note: "x".repeat(4_000) };
    const response = await fetch(mesh.url(`/v1/snapshots/s2/${SERVICE}/Rows`), { method: "POST" });
    expect(response.status).toBe(200);
    expect((await mesh.echo()).status).toBe(200);
    await response.body?.cancel();
  });

  test("each member of a set takes a slot of its own", async () => {
    await start({ queriesMax: 1, queueMax: 1, queueWaitMaxMs: 60_000 });
    const call = `${SERVICE}/Echo`;
    const set = mesh.post("/v1/snapshots/s2", { queries: { a: { call }, b: { call }, c: { call } } });
    running.push(set);
    await mesh.until(() => mesh.shard(0).calls.length === 1, "one is at its shard");
    await expect.poll(() => metric("skynetes_admission_waiting")).toBe(1);
    release();
    const { answers } = (await set).json;
    expect([answers.a.answer, answers.b.answer]).toEqual([expect.anything(), expect.anything()]);
    expect(answers.c.error).toMatchObject({ status: 503, code: "UNAVAILABLE" });
  });
});
