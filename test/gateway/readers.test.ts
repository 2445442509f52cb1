import { type ClientHttp2Session, type ClientHttp2Stream, connect as connectHttp2 } from "node:http2";
import { connect, type Socket } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { type MeshOptions, type ScriptedMesh, SERVICE, scriptedMesh } from "./scripted-mesh.ts";

/** Readers at the other end of the gateway that take less than they asked for. */
let mesh: ScriptedMesh;
const sockets: Socket[] = [];
const sessions: ClientHttp2Session[] = [];
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  for (const session of sessions.splice(0)) session.destroy();
  await mesh.close();
});

const LONG_MS = 60_000;
/** More than sockets buffer on their own: 64 MB. */
const ROWS = 1_000;
const NOTE = "x".repeat(16_384);

async function start(limits: MeshOptions["limits"] = {}): Promise<void> {
  mesh = await scriptedMesh({ limits: { stalledReaderMs: LONG_MS, deadlineMaxMs: LONG_MS, ...limits } });
  const script = { rows: Array.from({ length: ROWS }, (_, i) => BigInt(i)), note: NOTE };
  for (const shard of mesh.allShards) shard.script = { ...script };
}

/** Sends a request and reads nothing of the reply. */
function httpReader(method: string, query = ""): Socket {
  const [host, port] = mesh.gateway.httpAddress.split(":") as [string, string];
  const socket = connect(Number(port), host);
  socket.on("error", () => undefined);
  socket.pause();
  const path = `/v1/snapshots/s2/${SERVICE}/${method}${query}`;
  socket.write(`POST ${path} HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n`);
  sockets.push(socket);
  return socket;
}

/** Bare HTTP/2: a gRPC library takes a message off the wire whether anybody reads it or not. */
function grpcReader(method: string): ClientHttp2Stream {
  const session = connectHttp2(`http://${mesh.gateway.grpcAddress}`);
  sessions.push(session);
  session.on("error", () => undefined);
  const headers = { ":method": "POST", ":path": `/${SERVICE}/${method}`, te: "trailers" };
  const under = session.request({ ...headers, "content-type": "application/grpc" });
  under.on("error", () => undefined);
  under.pause();
  // The empty message: its flag and its length.
  under.end(Buffer.alloc(5));
  return under;
}

async function underWay(): Promise<readonly { readonly id: string }[]> {
  return (await mesh.get("/v1/queries")).json.queries;
}

async function untilNoQuery(): Promise<void> {
  await expect.poll(underWay, { timeout: 20_000, interval: 20 }).toEqual([]);
}

async function untilOneStands(): Promise<string> {
  await expect.poll(async () => (await underWay()).length, { timeout: 20_000, interval: 20 }).toBe(1);
  return (await underWay())[0]!.id;
}

describe("a stream whose reader takes nothing", () => {
  test("ends at the query's deadline over HTTP, long before the reader is given up", async () => {
    await start();
    httpReader("Rows", "?timeout=3s");
    await untilOneStands();
    await untilNoQuery();
  });

  test("ends at the query's deadline over gRPC", async () => {
    await start({ deadlineMaxMs: 3_000 });
    grpcReader("Rows");
    await untilOneStands();
    await untilNoQuery();
  });

  test.each(["HTTP", "gRPC"])("ends over %s when the query is cancelled by its id", async (door) => {
    await start();
    if (door === "HTTP") httpReader("Rows");
    else grpcReader("Rows");
    const id = await untilOneStands();
    // Long enough for the buffers to be full, so that the door waits for its reader.
    await new Promise((resolve) => setTimeout(resolve, 1000));
    expect((await mesh.get(`/v1/queries/${id}`, { method: "DELETE" })).status).toBe(204);
    await untilNoQuery();
  });

  test.each(["HTTP", "gRPC"])("over %s holds the shards back: no more is read than is taken", async (door) => {
    await start();
    const sent = [0, 0, 0, 0];
    for (const shard of mesh.allShards) {
      shard.script.sent = (rows) => {
        sent[shard.shard] = rows;
      };
    }
    if (door === "HTTP") httpReader("Rows");
    else grpcReader("Rows");
    await mesh.until(() => sent.every((rows) => rows > 0), "every shard has sent something");
    let before = -1;
    // Rows go on until every buffer on the way is full; then no more must come.
    while (before !== sum(sent)) {
      before = sum(sent);
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
    expect(before).toBeLessThan((ROWS * 4) / 2);
  });

  test("a shard's stream is not read ahead while another shard has not vouched for its own", async () => {
    await start();
    let sent = 0;
    mesh.shard(1).script.sent = (rows) => {
      sent = rows;
    };
    mesh.shard(0).script = { before: () => new Promise(() => undefined) };
    httpReader("Rows");
    await mesh.until(() => sent > 0, "the other shard has sent something");
    await new Promise((resolve) => setTimeout(resolve, 1000));
    expect(sent).toBeLessThan(ROWS / 10);
  });
});

describe("one answer whose reader takes nothing", () => {
  /** More than sockets buffer on their own. */
  const large = async (limits: MeshOptions["limits"] = {}) => {
    mesh = await scriptedMesh({ shards: 1, limits });
    mesh.shard(0).script = { echo: (request) => ({ rows: 1n, text: request.text ?? "x".repeat(16 << 20) }) };
  };
  const read = (door: string) => (door === "HTTP" ? httpReader("Echo") : grpcReader("Echo"));

  test.each(["HTTP", "gRPC"])("over %s it is a query under way until the reader is given up", async (door) => {
    await large({ stalledReaderMs: 3_000 });
    const reader = read(door);
    const closed = new Promise((resolve) => reader.once("close", resolve));
    await untilOneStands();
    await untilNoQuery();
    reader.resume();
    // What was on its way comes, and then the end: the gateway keeps nothing for it.
    await closed;
    expect((await mesh.echo({ text: "small" })).status).toBe(200);
  });

  test.each(["HTTP", "gRPC"])("over %s it can be cancelled by its id", async (door) => {
    await large({ stalledReaderMs: LONG_MS });
    read(door);
    const id = await untilOneStands();
    await mesh.until(() => mesh.shard(0).calls.length === 1, "the shard is asked");
    await new Promise((resolve) => setTimeout(resolve, 1000));
    expect((await mesh.get(`/v1/queries/${id}`, { method: "DELETE" })).status).toBe(204);
    await untilNoQuery();
  });

  test.each(["HTTP", "gRPC"])("over %s it is held against the memory that all queries share", async (door) => {
    await large({ stalledReaderMs: LONG_MS, memoryBytesMax: 24 << 20 });
    read(door);
    const id = await untilOneStands();
    await mesh.until(() => mesh.shard(0).calls.length === 1, "the shard is asked");
    // When the answer of 16 MB that nobody takes is held, no second partial fits beside it.
    const refused = { status: 503, json: { type: "https://skynetes.io/problems/overloaded" } };
    await expect.poll(() => mesh.echo({}), { timeout: 40_000 }).toMatchObject(refused);
    expect((await mesh.get(`/v1/queries/${id}`, { method: "DELETE" })).status).toBe(204);
    await untilNoQuery();
    expect((await mesh.echo({})).status).toBe(200);
  });

  test("a set of answers is under way until its reader is given up", async () => {
    await large({ stalledReaderMs: 2_000 });
    const begun = performance.now();
    const [host, port] = mesh.gateway.httpAddress.split(":") as [string, string];
    const socket = connect(Number(port), host);
    sockets.push(socket);
    socket.on("error", () => undefined);
    socket.pause();
    const body = JSON.stringify({ queries: { one: { call: `${SERVICE}/Echo` } } });
    const head = "host: x\r\ncontent-type: application/json";
    socket.write(`POST /v1/snapshots/s2 HTTP/1.1\r\n${head}\r\ncontent-length: ${body.length}\r\n\r\n${body}`);
    await untilOneStands();
    await untilNoQuery();
    expect(performance.now() - begun).toBeGreaterThan(2_000);
  });
});

function sum(numbers: readonly number[]): number {
  return numbers.reduce((a, b) => a + b, 0);
}
