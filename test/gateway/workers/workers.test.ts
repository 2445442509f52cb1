import { Agent, request as httpRequest } from "node:http";
import { create } from "@bufbuild/protobuf";
import { Client, credentials, type ServiceError } from "@grpc/grpc-js";
import { afterEach, describe, expect, test } from "vitest";
import { GatewayService } from "../../../src/wire/generated/skynetes/v1/gateway_pb.ts";
import { LatestSnapshotSchema, RouteTableSchema } from "../../../src/wire/generated/skynetes/v1/table_pb.ts";
import { unaryClient } from "../../../src/wire/grpc-service.ts";
import { type MeshOptions, type ScriptedMesh, SERVICE, scriptedMesh } from "../scripted-mesh.ts";
import { GatewayProcess } from "./gateway-process.ts";

/** A gateway of two workers, as real processes, over scripted shards. */
let mesh: ScriptedMesh;
let gateway: GatewayProcess;
afterEach(() => mesh.close());

async function start(options: MeshOptions = {}): Promise<void> {
  gateway = new GatewayProcess();
  mesh = await scriptedMesh({ ...options, start: gateway.start(2) });
}

interface Reply {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: the tests say what they expect of it
  readonly json: any;
}

/** On a connection of its own, so that the next worker in turn gets it. */
function anew(method: string, path: string, body?: string, headers: Record<string, string> = {}): Promise<Reply> {
  return on(new Agent({ keepAlive: false }), method, path, body, headers);
}

function on(
  agent: Agent,
  method: string,
  path: string,
  body?: string,
  headers: Record<string, string> = {},
): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const type = body === undefined ? {} : { "content-type": "application/json" };
    const request = httpRequest(mesh.url(path), { agent, method, headers: { ...type, ...headers } }, (response) => {
      let text = "";
      response.on("data", (bytes) => {
        text += bytes;
      });
      response.on("end", () =>
        resolve({ status: response.statusCode ?? 0, json: text === "" ? undefined : parsed(text) }),
      );
      response.on("error", reject);
    });
    request.on("error", reject);
    // Nothing here takes long: whoever waits for this waits for ever.
    request.setTimeout(30_000, () => request.destroy(new Error("no answer")));
    request.end(body);
  });
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

const ECHO = `/v1/snapshots/s2/${SERVICE}/Echo`;
const echo = (id: string) => anew("POST", ECHO, "{}", { "x-skynetes-query-id": id });
const ids = async () => (await anew("GET", "/v1/queries")).json.queries.map(({ id }: { id: string }) => id).sort();
const status = () => mesh.admin.getGatewayStatus({}, { timeoutMs: 10_000 });
const forEver = () => new Promise<void>(() => undefined);

describe("two workers are one gateway", () => {
  test("lists, cancels, metrics, readiness and status are of all of them, whichever is asked", async () => {
    await start();
    expect(gateway.workers.length).toBe(2);
    for (const shard of mesh.allShards) shard.script = { delay: forEver };
    const running = ["a", "b", "c", "d"].map(echo);
    await mesh.until(() => mesh.shard(0).calls.length === 4, "four queries are under way");
    // Connections go to the workers in turn, so both of them are asked.
    for (let i = 0; i < 2; i++) expect(await ids()).toEqual(["a", "b", "c", "d"]);
    expect((await status()).inUse).toMatchObject([{ snapshot: "s2", queries: 4 }]);
    const grpc = unaryClient(GatewayService, mesh.gateway.grpcAddress);
    expect((await grpc.listQueries({}, { timeoutMs: 5_000 })).queries.length).toBe(4);
    await grpc.cancelQuery({ id: "a" }, { timeoutMs: 5_000 });
    grpc.close();
    for (const id of ["b", "c", "d"]) expect((await anew("DELETE", `/v1/queries/${id}`)).status).toBe(204);
    expect((await Promise.all(running)).map((reply) => reply.status)).toEqual([499, 499, 499, 499]);
    expect((await anew("DELETE", "/v1/queries/a")).status).toBe(404);
    for (let i = 0; i < 2; i++) {
      const { json: text } = await anew("GET", "/metrics");
      expect(text).toMatch(/^skynetes_queries_total\{[^}]*outcome="cancelled"[^}]*\} 4$/m);
      expect(text).toMatch(/^skynetes_gateway_workers(?:\{[^}]*\})? 2$/m);
      expect(text).toMatch(/^skynetes_table_epoch(?:\{[^}]*\})? 1$/m);
      expect(await anew("GET", "/readyz")).toMatchObject({ status: 200, json: { epoch: "1" } });
    }
  });

  test("a table is acknowledged when every worker has it, and refused when one cannot take it", async () => {
    await start();
    for (let epoch = 2n; epoch < 8n; epoch++) {
      await mesh.apply(create(RouteTableSchema, { ...mesh.table, epoch }));
      const epochs = await Promise.all([1, 2, 3, 4].map(async () => (await anew("GET", "/v1/mesh")).json.epoch));
      expect(epochs).toEqual(Array.from({ length: 4 }, () => epoch.toString()));
    }
    await expect(mesh.apply(create(RouteTableSchema, { ...mesh.table, epoch: 3n }))).rejects.toMatchObject({
      id: "table-conflict",
    });
    const broken = create(RouteTableSchema, {
      ...mesh.table,
      epoch: 9n,
      latest: [create(LatestSnapshotSchema, { service: SERVICE, snapshot: "nope" })],
    });
    await expect(mesh.admin.applyTable({ table: broken }, { timeoutMs: 10_000 })).rejects.toMatchObject({
      id: "invalid-table",
    });
    expect((await status()).epoch).toBe(7n);
    const { verified } = await mesh.admin.verifyRoutes({ table: { ...mesh.table, epoch: 10n } }, { timeoutMs: 10_000 });
    expect(verified).toBe(false);
  });

  test("both take connections, over HTTP and gRPC, and a connection stays with its worker", async () => {
    await start();
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    for (let i = 0; i < 4; i++) expect((await on(agent, "POST", ECHO, "{}")).status).toBe(200);
    agent.destroy();
    const clients = [1, 2, 3, 4].map(
      () => new Client(mesh.gateway.grpcAddress, credentials.createInsecure(), { "grpc.use_local_subchannel_pool": 1 }),
    );
    const asIs = (bytes: Buffer) => bytes;
    for (const client of clients) {
      const error = await new Promise<ServiceError | null>((resolve) => {
        const options = { deadline: Date.now() + 10_000 };
        client.makeUnaryRequest(`/${SERVICE}/Echo`, asIs, asIs, Buffer.alloc(0), options, (e) => resolve(e));
      });
      expect(error).toBeNull();
      client.close();
    }
  });

  test("on SIGTERM both finish what is under way, and the process ends well", async () => {
    await start();
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    for (const shard of mesh.allShards) shard.script = { delay: () => held };
    const running = [echo("a"), echo("b")];
    await mesh.until(() => mesh.shard(0).calls.length === 2, "two queries are under way");
    const ended = gateway.stop("SIGTERM");
    await mesh.until(() => gateway.said.includes("stopping"), "it has heard");
    release();
    expect((await Promise.all(running)).map((reply) => reply.status)).toEqual([200, 200]);
    expect(await ended).toBe(0);
    expect(gateway.said).not.toMatch(/starting it again|did not stop/);
  });
});

describe("a worker that is killed", () => {
  test("is started again with the table, is told of, and costs only clear errors", async () => {
    await start();
    const [victim] = gateway.workers as [number];
    let isOver = false;
    const outcomes: string[] = [];
    const client = async () => {
      while (!isOver) {
        try {
          const { status: code, json } = await anew("POST", ECHO, "{}");
          outcomes.push(code === 200 ? `200 ${json.answer.rows}` : `${code} ${json.type}`);
        } catch (error) {
          outcomes.push((error as NodeJS.ErrnoException).code ?? String(error));
        }
      }
    };
    const clients = [client(), client(), client()];
    await mesh.until(() => outcomes.length > 50, "there is load");
    process.kill(victim, "SIGKILL");
    await mesh.until(() => gateway.said.includes("ended: killed by SIGKILL"), "it is told");
    await expect
      .poll(async () => (await anew("GET", "/readyz").catch(() => ({ status: 0 }))).status, { timeout: 20_000 })
      .toBe(200);
    expect(gateway.workers.length).toBe(2);
    expect(gateway.workers).not.toContain(victim);
    const before = outcomes.length;
    await mesh.until(() => outcomes.length > before + 100, "it goes on");
    isOver = true;
    await Promise.all(clients);
    const wrong = outcomes.filter((outcome) => !["200 4", "ECONNRESET", "ECONNREFUSED"].includes(outcome));
    expect(wrong).toEqual([]);
    // From here on no connection is broken: the new one has the table.
    expect(outcomes.slice(before).every((outcome) => outcome === "200 4")).toBe(true);
    expect((await status()).epoch).toBe(1n);
    expect((await anew("GET", "/metrics")).json).toMatch(/^skynetes_gateway_worker_deaths_total(?:\{[^}]*\})? 1$/m);
  });

  test("takes its own queries with it, half of them, and no other", async () => {
    await start();
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    for (const shard of mesh.allShards) shard.script = { delay: () => held };
    const running = ["a", "b", "c", "d"].map((id) => echo(id).catch((error: NodeJS.ErrnoException) => error.code));
    await mesh.until(() => mesh.shard(0).calls.length === 4, "four queries are under way");
    process.kill(gateway.workers[0] as number, "SIGKILL");
    await mesh.until(() => gateway.said.includes("ended: killed by SIGKILL"), "it is told");
    release();
    const ends = (await Promise.all(running)).map((reply) => (typeof reply === "object" ? reply.status : reply));
    expect(ends.sort()).toEqual([200, 200, "ECONNRESET", "ECONNRESET"]);
  });

  test("while one is away the gateway is not ready, and a table is for those that are there and the one that comes", async () => {
    await start();
    const [victim] = gateway.workers as [number];
    process.kill(victim, "SIGKILL");
    await mesh.until(() => gateway.said.includes("ended: killed by SIGKILL"), "it is told");
    await mesh.apply(create(RouteTableSchema, { ...mesh.table, epoch: 5n }));
    await expect.poll(async () => (await anew("GET", "/readyz")).status, { timeout: 20_000 }).toBe(200);
    const epochs = await Promise.all([1, 2, 3, 4].map(async () => (await anew("GET", "/v1/mesh")).json.epoch));
    expect(epochs).toEqual(["5", "5", "5", "5"]);
  });
});

test("workers end with a primary that is killed", async () => {
  await start();
  const workers = gateway.workers;
  await gateway.stop("SIGKILL");
  await mesh.until(() => workers.every((pid) => !isAlive(pid)), "no worker is left");
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
