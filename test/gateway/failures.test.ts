import { connect } from "node:net";
import { Client, credentials } from "@grpc/grpc-js";
import { request as undici } from "undici";
import { afterEach, describe, expect, test } from "vitest";
import { Fault } from "../../src/fault/fault.ts";
import type { FaultId } from "../../src/fault/fault-catalog.ts";
import type { Stamp } from "../../src/mesh/stamp.ts";
import { statusFromFault } from "../../src/wire/fault-status.ts";
import { type HttpReply, type MeshOptions, type ScriptedMesh, SERVICE, scriptedMesh, V1 } from "./scripted-mesh.ts";

let mesh: ScriptedMesh;
afterEach(() => mesh.close());
const start = async (options?: MeshOptions) => {
  mesh = await scriptedMesh(options);
};
const problem = (reply: HttpReply) => [reply.status, reply.json.type.replace("https://skynetes.io/problems/", "")];
const UNAVAILABLE = () => ({ code: 14, details: "down on purpose" });
const forEver = () => new Promise<void>(() => undefined);

describe("stamps: a partial of another state is never merged", () => {
  const wrong: [string, (right: Stamp) => Stamp | undefined][] = [
    ["another shard", (right) => ({ ...right, shard: right.shard + 1 })],
    ["another snapshot", (right) => ({ ...right, snapshot: "s1" })],
    ["another state digest", (right) => ({ ...right, stateDigest: "other" })],
    ["another service version", (right) => ({ ...right, serviceVersion: V1 })],
    ["no stamp", () => undefined],
  ];
  test.each(wrong)("a stamp of %s fails the answer after one more try", async (_name, stamp) => {
    await start();
    mesh.shard(1).script = { stamp, echo: () => ({ rows: 1000n }) };
    const reply = await mesh.echo();
    expect(problem(reply)).toEqual([502, "stamp-mismatch"]);
    expect(reply.json.shard).toBe(1);
    expect(mesh.shard(1).calls.length).toBe(2);
  });

  test.each(wrong)(
    "a stamp of %s is missing from a partial answer, and its rows are not in it",
    async (_name, stamp) => {
      await start();
      mesh.shard(1).script = { stamp, echo: () => ({ rows: 1000n }) };
      const reply = await mesh.echo({}, "?completeness=partial");
      expect(reply.json.answer.rows).toBe("3");
      expect(reply.json.completeness.missing).toEqual([{ shards: "1", reason: "STAMP_MISMATCH" }]);
    },
  );

  test("two stamps are as good as none, even when one of them is right", async () => {
    await start();
    mesh.shard(1).script = { secondStamp: (right) => ({ ...right, snapshot: "s1" }) };
    const reply = await mesh.echo();
    expect(problem(reply)).toEqual([502, "stamp-mismatch"]);
    expect(reply.json.detail).toContain("it sent no stamp");
  });

  test("a stream with a wrong stamp is refused before its first row, and cancelled", async () => {
    await start();
    for (const shard of mesh.allShards) shard.script = { rows: [1n, 2n] };
    mesh.shard(2).script = {
      rows: Array.from({ length: 100_000 }, (_, i) => BigInt(i)),
      stamp: (s) => ({ ...s, shard: 0 }),
    };
    const reply = await mesh.post(`/v1/snapshots/s2/${SERVICE}/Rows`, {});
    expect(problem(reply)).toEqual([502, "stamp-mismatch"]);
    await mesh.until(() => mesh.shard(2).calls.every((call) => call.cancelled), "the refused streams are cancelled");
  });

  test("a refused stream is cancelled while the query goes on with the second try", async () => {
    await start();
    for (const shard of mesh.allShards) shard.script = { rows: [1n] };
    mesh.shard(2).script = {
      stamp: (right, call) => (call === 1 ? { ...right, shard: 0 } : right),
      delay: forEver,
    };
    const leave = new AbortController();
    const under = mesh.post(`/v1/snapshots/s2/${SERVICE}/Rows`, {}, { signal: leave.signal }).catch(() => undefined);
    await mesh.until(() => mesh.shard(2).calls[0]?.cancelled === true, "the refused stream is cancelled");
    expect(mesh.shard(2).calls[1]?.cancelled ?? false).toBe(false);
    leave.abort();
    await under;
  });

  test("a wrong stamp on the first try and a right one on the second is one right answer", async () => {
    await start();
    mesh.shard(1).script = { stamp: (right, call) => (call === 1 ? { ...right, snapshot: "s1" } : right) };
    const reply = await mesh.echo();
    expect([reply.status, reply.json.answer.rows]).toEqual([200, "4"]);
  });
});

describe("retries", () => {
  test("a lost shard is tried once more, and enters the merge once", async () => {
    await start();
    mesh.shard(0).script = { fail: (call) => (call === 1 ? UNAVAILABLE() : undefined) };
    const reply = await mesh.echo();
    expect([reply.status, reply.json.answer.rows, reply.json.completeness.complete]).toEqual([200, "4", true]);
    expect(mesh.shard(0).calls.length).toBe(2);
  });

  test("the second try goes to another replica", async () => {
    await start({ replicas: 2 });
    const [a, b] = mesh.shards[0]!;
    for (const replica of [a!, b!]) replica.script = { fail: () => (replica === a ? UNAVAILABLE() : undefined) };
    for (let i = 0; i < 4; i++) expect((await mesh.echo({ number: String(i) })).status).toBe(200);
    expect(b!.calls.length).toBe(4);
    expect(a!.calls.length).toBeGreaterThan(0);
  });

  test("equal replicas take turns", async () => {
    await start({ replicas: 2 });
    for (let i = 0; i < 8; i++) await mesh.echo({ number: String(i) });
    const [a, b] = mesh.shards[1]!;
    expect(a!.calls.length + b!.calls.length).toBe(8);
    expect(Math.min(a!.calls.length, b!.calls.length)).toBeGreaterThan(0);
  });

  test("a request that the shard calls invalid is not tried again, and is the client's fault also when partial", async () => {
    await start();
    mesh.shard(3).script = { fail: () => ({ code: 3, details: "from is after to" }) };
    for (const query of ["", "?completeness=partial"]) {
      const reply = await mesh.echo({}, query);
      expect(problem(reply)).toEqual([400, "invalid-request"]);
      expect(reply.json.detail).toContain("from is after to");
    }
    expect(mesh.shard(3).calls.length).toBe(2);
  });
});

describe("refusals of a shard that are not the client's fault", () => {
  const refuses = (id: FaultId) => () => statusFromFault(new Fault(id, `refused: ${id}`));
  const misrouted: FaultId[] = ["unknown-version", "wrong-placement"];
  const unfit: FaultId[] = ["malformed-request", "unknown-service", "unknown-snapshot", "cancelled"];

  test.each([...misrouted, ...unfit])("%s at one replica: the other one answers", async (id) => {
    await start({ replicas: 2 });
    const [a, b] = mesh.shards[2]!;
    a!.script = { fail: refuses(id) };
    for (let i = 0; i < 4; i++) {
      expect((await mesh.echo({ number: String(i) })).status).toBe(200);
    }
    expect(a!.calls.length).toBeGreaterThan(0);
    expect(b!.calls.length).toBe(4);
  });

  test.each(misrouted)("%s at every replica is a call that went elsewhere", async (id) => {
    await start();
    mesh.shard(2).script = { fail: refuses(id) };
    expect(problem(await mesh.echo())).toEqual([502, "stamp-mismatch"]);
    const reply = await mesh.echo({}, "?completeness=partial");
    expect(reply.json.completeness.missing).toEqual([{ shards: "2", reason: "STAMP_MISMATCH" }]);
  });

  test.each(unfit)("%s at every replica is a shard that is not available", async (id) => {
    await start();
    mesh.shard(2).script = { fail: refuses(id) };
    expect(problem(await mesh.echo())).toEqual([503, "shard-unavailable"]);
    const reply = await mesh.echo({}, "?completeness=partial");
    expect(reply.json.completeness.missing).toEqual([{ shards: "2", reason: "UNAVAILABLE" }]);
  });

  test("a process that does not know the service was not the one that was meant", async () => {
    await start();
    mesh.shard(1).script = { fail: () => ({ code: 12, details: "The server does not implement the method" }) };
    expect(problem(await mesh.echo())).toEqual([502, "stamp-mismatch"]);
  });

  test("a stream that its shard cancels is not one that the client cancelled", async () => {
    await start();
    for (const shard of mesh.allShards) shard.script = { rows: [1n] };
    mesh.shard(1).script = { rows: [1n], fail: () => ({ code: 1, details: "draining" }) };
    expect(problem(await mesh.post(`/v1/snapshots/s2/${SERVICE}/Rows`, {}))).toEqual([503, "shard-unavailable"]);
  });

  test.each<FaultId>(["overflow", "answer-too-large"])("%s is about the request: also under partial", async (id) => {
    await start();
    mesh.shard(2).script = { fail: refuses(id) };
    expect(problem(await mesh.echo({}, "?completeness=partial"))[1]).toBe(id);
    expect(mesh.shard(2).calls.length).toBe(1);
  });
});

describe("completeness", () => {
  test("strict: one dead shard fails the answer and names it; the others are cancelled at once", async () => {
    await start();
    for (const shard of [0, 1, 3]) mesh.shard(shard).script = { delay: forEver };
    mesh.shard(2).script = { fail: () => ({ code: 13, details: "broken" }) };
    const reply = await mesh.echo();
    expect(problem(reply)).toEqual([502, "shard-failed"]);
    expect(reply.json.shard).toBe(2);
    const others = [0, 1, 3].flatMap((shard) => mesh.shard(shard).calls);
    await mesh.until(() => others.every((call) => call.cancelled), "the other shards' calls are cancelled");
  });

  test("a shard whose process is gone is unavailable", async () => {
    await start();
    mesh.shard(2).stop();
    expect(problem(await mesh.echo())).toEqual([503, "shard-unavailable"]);
    const reply = await mesh.echo({}, "?completeness=partial");
    expect(reply.json.completeness).toEqual({
      complete: false,
      shards: { expected: 4, answered: 3 },
      rows: { expected: "1000", answered: "700" },
      missing: [{ shards: "2", reason: "UNAVAILABLE" }],
    });
  });

  test("a partial answer is never cached, and has no tag", async () => {
    await start();
    mesh.shard(0).stop();
    const pinned = await mesh.get(`/v1/snapshots/s1/${SERVICE}@${V1}/Echo?completeness=partial`);
    expect(pinned.json.completeness.complete).toBe(false);
    expect([pinned.headers.get("cache-control"), pinned.headers.get("etag")]).toEqual(["no-store", null]);
  });

  test("the floor is of rows: what is left must be enough for the client and for the server", async () => {
    await start({ limits: { partialFloor: 0.5 } });
    mesh.shard(3).stop();
    expect((await mesh.echo({}, "?completeness=partial;min=0.6")).status).toBe(200);
    expect(problem(await mesh.echo({ number: 1 }, "?completeness=partial;min=0.61"))).toEqual([
      503,
      "incomplete-answer",
    ]);
    mesh.shard(2).stop();
    const below = await mesh.echo({ number: 2 }, "?completeness=partial;min=0.1");
    expect(problem(below)).toEqual([503, "incomplete-answer"]);
    expect(below.json.detail).toContain("30 %");
  });

  test("nothing answered is an error under every policy", async () => {
    await start();
    for (const shard of mesh.allShards) shard.stop();
    expect(problem(await mesh.echo({}, "?completeness=partial;min=0"))).toEqual([503, "incomplete-answer"]);
  });
});

describe("time", () => {
  test("a shard that never answers ends with the deadline, which shrinks on its way to the shards", async () => {
    await start();
    mesh.shard(1).script = { delay: forEver };
    const reply = await mesh.echo({}, "?timeout=1s");
    expect(problem(reply)).toEqual([504, "deadline-exceeded"]);
    const [call] = mesh.shard(1).calls;
    // Less by the reserve for merge and reply, and by what has passed until it came.
    expect(call!.remainingMs).toBeLessThanOrEqual(900);
    await mesh.until(() => call!.cancelled, "the slow shard's call is cancelled");
  });

  test("a slow shard is missing from a partial answer, which still comes within the deadline", async () => {
    await start();
    mesh.shard(1).script = { delay: forEver };
    const reply = await mesh.echo({}, "?timeout=5s&completeness=partial;min=0.5");
    expect(reply.status).toBe(200);
    expect(reply.json.completeness.missing).toEqual([{ shards: "1", reason: "DEADLINE_EXCEEDED" }]);
  });

  test("a wish for more time than the server gives is shortened", async () => {
    await start({ limits: { deadlineMaxMs: 200 } });
    mesh.shard(0).script = { delay: forEver };
    expect(problem(await mesh.echo({}, "?timeout=10m"))).toEqual([504, "deadline-exceeded"]);
  });

  test("a client that goes away stops all shards", async () => {
    await start();
    for (const shard of mesh.allShards) shard.script = { delay: forEver };
    const leave = new AbortController();
    const url = mesh.url(`/v1/snapshots/s2/${SERVICE}/Echo`);
    const gone = undici(url, { method: "POST", signal: leave.signal }).catch((error: Error) => error.name);
    await mesh.until(() => mesh.allShards.every((shard) => shard.calls.length === 1), "every shard is asked");
    leave.abort();
    expect(await gone).toBe("AbortError");
    await mesh.until(() => mesh.allShards.every((shard) => shard.calls[0]!.cancelled), "every call is cancelled");
    await mesh.until(() => true, "");
    expect((await mesh.get("/v1/queries")).json).toEqual({ queries: [] });
  });

  test("a reader of a stream that goes away stops all shards", async () => {
    await start();
    for (const shard of mesh.allShards) shard.script = { rows: Array.from({ length: 200_000 }, (_, i) => BigInt(i)) };
    const { body } = await undici(mesh.url(`/v1/snapshots/s2/${SERVICE}/Rows`), { method: "POST" });
    for await (const _chunk of body) break;
    body.destroy();
    await mesh.until(() => mesh.allShards.every((shard) => shard.calls[0]!.cancelled), "every stream is cancelled");
  });
});

describe("readers that never read", () => {
  const manyRows = async () => {
    await start({ limits: { stalledReaderMs: 200 } });
    // More than any socket buffers on its own.
    const script = { rows: Array.from({ length: 2_000 }, (_, i) => BigInt(i)), note: "x".repeat(16_384) };
    for (const shard of mesh.allShards) shard.script = script;
  };
  const stopped = () =>
    mesh.until(() => mesh.allShards.every((shard) => shard.calls[0]?.cancelled === true), "every stream is cancelled");

  test("an HTTP client that takes nothing is given up, and its shards are stopped", async () => {
    await manyRows();
    const [host, port] = mesh.gateway.httpAddress.split(":") as [string, string];
    const socket = connect(Number(port), host);
    socket.on("error", () => undefined);
    socket.pause();
    socket.write(`POST /v1/snapshots/s2/${SERVICE}/Rows HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n`);
    await stopped();
    socket.destroy();
  });

  test("a gRPC client that takes nothing is given up, and its shards are stopped", async () => {
    await manyRows();
    const client = new Client(mesh.gateway.grpcAddress, credentials.createInsecure());
    const bytes = (b: Buffer) => b;
    const under = client.makeServerStreamRequest(`/${SERVICE}/Rows`, bytes, bytes, Buffer.alloc(0));
    under.on("error", () => undefined);
    under.pause();
    // Without one read the library takes everything off the wire and keeps it: then nothing stalls.
    under.read(0);
    await stopped();
    client.close();
  });
});

describe("queries under way", () => {
  test("a query is listed under its client's id, and can be cancelled by it", async () => {
    await start();
    for (const shard of mesh.allShards) shard.script = { delay: forEver };
    const headers = { "x-skynetes-query-id": "mine-1" };
    const reply = mesh.post(`/v1/snapshots/s2/${SERVICE}/Echo`, {}, { headers });
    await mesh.until(() => mesh.shard(0).calls.length > 0, "the query is under way");
    const { queries } = (await mesh.get("/v1/queries")).json;
    expect(queries).toMatchObject([
      { id: "mine-1", snapshot: "s2", service: SERVICE, method: "Echo", shards: { expected: 4 } },
    ]);
    expect(problem(await mesh.post(`/v1/snapshots/s2/${SERVICE}/Echo`, {}, { headers }))).toEqual([
      400,
      "invalid-request",
    ]);
    expect((await mesh.get("/v1/queries/mine-1", { method: "DELETE" })).status).toBe(204);
    const cancelled = await reply;
    expect(problem(cancelled)).toEqual([499, "cancelled"]);
    expect([cancelled.json.queryId, cancelled.headers.get("x-skynetes-query-id")]).toEqual(["mine-1", "mine-1"]);
    expect(problem(await mesh.get("/v1/queries/mine-1", { method: "DELETE" }))).toEqual([404, "unknown-query"]);
  });

  test("an answer set is cancelled by its own id, however long its members' names are", async () => {
    await start();
    for (const shard of mesh.allShards) shard.script = { delay: forEver };
    const id = "s".repeat(63);
    const names = ["a".repeat(64), `${"a".repeat(63)}b`];
    const send = (headers: Record<string, string>) => {
      const call = `${SERVICE}/Echo`;
      const queries = Object.fromEntries(names.map((name) => [name, { call, request: { text: name } }]));
      return mesh.post("/v1/snapshots/s2", { queries }, { headers });
    };
    const long = await send({ "x-skynetes-query-id": `${id}s` });
    expect(problem(long)).toEqual([400, "invalid-request"]);
    const under = send({ "x-skynetes-query-id": id });
    await mesh.until(() => mesh.shard(0).calls.length === 2, "both queries are under way");
    const { queries } = (await mesh.get("/v1/queries")).json;
    expect(queries.map((query: { id: string }) => query.id)).toEqual(names.map((name) => `${id}.${name}`));
    expect((await mesh.get(`/v1/queries/${id}`, { method: "DELETE" })).status).toBe(204);
    const { answers } = (await under).json;
    for (const name of names) {
      expect(answers[name].error).toMatchObject({ status: 499, queryId: `${id}.${name}` });
    }
    expect((await mesh.get(`/v1/queries/${id}`, { method: "DELETE" })).status).toBe(404);
  });

  test("more queries than the limit are refused with retry advice, and the others are answered", async () => {
    await start({ limits: { queriesMax: 2, queueMax: 0 } });
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    for (const shard of mesh.allShards) shard.script = { delay: () => held };
    const two = [mesh.echo({ number: "1" }), mesh.echo({ number: "2" })];
    await mesh.until(() => mesh.shard(0).calls.length === 2, "two are under way");
    const refused = await mesh.echo();
    expect(problem(refused)).toEqual([503, "overloaded"]);
    expect([refused.headers.get("retry-after"), refused.json.retryable]).toEqual(["1", true]);
    release();
    expect((await Promise.all(two)).map((reply) => reply.status)).toEqual([200, 200]);
    expect((await mesh.echo()).status).toBe(200);
  });

  test("closing refuses new queries, lets those under way end, and then stops them", async () => {
    await start({ limits: { drainMs: 4_000 } });
    let release = () => {};
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    for (const shard of mesh.allShards) shard.script = { delay: (call) => (call === 1 ? released : forEver()) };
    const first = mesh.echo();
    await mesh.until(() => mesh.shard(0).calls.length === 1, "the first is under way");
    const second = mesh.echo({ number: "2" });
    await mesh.until(() => mesh.shard(0).calls.length === 2, "the second is under way");
    const closed = mesh.gateway.close();
    release();
    expect((await first).status).toBe(200);
    expect(problem(await second)).toEqual([503, "not-ready"]);
    await closed;
  });
});
