import { connect, type Socket } from "node:net";
import { Client, type ClientReadableStream, credentials } from "@grpc/grpc-js";
import { afterEach, describe, expect, test } from "vitest";
import { type MeshOptions, type ScriptedMesh, SERVICE, scriptedMesh } from "./scripted-mesh.ts";

/** Readers at the other end of the gateway that take less than they asked for. */
let mesh: ScriptedMesh;
const sockets: Socket[] = [];
const clients: Client[] = [];
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  for (const client of clients.splice(0)) client.close();
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

function grpcReader(method: string): ClientReadableStream<Buffer> {
  const client = new Client(mesh.gateway.grpcAddress, credentials.createInsecure());
  clients.push(client);
  const bytes = (b: Buffer) => b;
  const under = client.makeServerStreamRequest(`/${SERVICE}/${method}`, bytes, bytes, Buffer.alloc(0));
  under.on("error", () => undefined);
  under.pause();
  // Without one read the library takes everything off the wire and keeps it: then nothing stalls.
  under.read(0);
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
    httpReader("Rows", "?timeout=1500ms");
    await untilOneStands();
    await untilNoQuery();
  });

  test("ends at the query's deadline over gRPC", async () => {
    await start({ deadlineMaxMs: 1500 });
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

function sum(numbers: readonly number[]): number {
  return numbers.reduce((a, b) => a + b, 0);
}
