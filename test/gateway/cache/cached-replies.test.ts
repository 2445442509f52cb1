import { toBinary } from "@bufbuild/protobuf";
import { Client, credentials, Metadata } from "@grpc/grpc-js";
import { afterEach, describe, expect, test } from "vitest";
import { probeMessage } from "../probe-service.ts";
import { type HttpReply, type MeshOptions, type ScriptedMesh, SERVICE, scriptedMesh } from "../scripted-mesh.ts";

let mesh: ScriptedMesh;
let client: Client;
async function start(options?: MeshOptions): Promise<void> {
  mesh = await scriptedMesh(options);
  client = new Client(mesh.gateway.grpcAddress, credentials.createInsecure());
  for (const shard of mesh.allShards) shard.script.echo = () => ({ rows: 1n, text: `from ${shard.shard}` });
}
afterEach(async () => {
  client.close();
  await mesh.close();
});

const calls = () => mesh.allShards.map((shard) => shard.calls.length);
const cacheStatus = (reply: HttpReply) => reply.headers.get("cache-status");
const ECHO = `/v1/snapshots/s2/${SERVICE}/Echo`;
const wishing = (cacheControl: string) => mesh.post(ECHO, {}, { headers: { "cache-control": cacheControl } });

/** The reply's bytes in hex, and what the trailers say of caches. */
function echoOverGrpc(
  fields: Record<string, unknown> = {},
  headers: Record<string, string> = {},
): Promise<[string, string]> {
  const { input } = mesh.desc.method.echo!;
  const bytes = Buffer.from(toBinary(input, probeMessage(mesh.desc, "EchoRequest", fields)));
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(headers)) metadata.add(name, value);
  const asIs = (buffer: Buffer) => buffer;
  return new Promise((resolve, reject) => {
    let hex = "";
    const call = client.makeUnaryRequest(`/${SERVICE}/Echo`, asIs, asIs, bytes, metadata, (error, reply) => {
      if (error !== null) reject(error);
      else hex = reply!.toString("hex");
    });
    call.on("status", ({ metadata: trailers }) => resolve([hex, String(trailers.get("cache-status"))]));
  });
}

describe("a kept answer", () => {
  test("is the same bytes over HTTP and gRPC, asks no shard, and says so", async () => {
    await start();
    const made = await mesh.echo();
    expect([made.status, cacheStatus(made)]).toEqual([200, "skynetes; fwd=miss; stored"]);
    const [madeOverGrpc] = await echoOverGrpc({}, { "cache-control": "no-cache" });
    expect(calls()).toEqual([2, 2, 2, 2]);

    const kept = await mesh.echo();
    expect([kept.text, cacheStatus(kept)]).toEqual([made.text, "skynetes; hit"]);
    const got = await mesh.get(`${ECHO}?request={}`);
    expect([got.text, cacheStatus(got)]).toEqual([made.text, "skynetes; hit"]);
    const latest = await mesh.echo({}, "", "latest");
    expect([latest.text, cacheStatus(latest)]).toEqual([made.text, "skynetes; hit"]);
    expect(await echoOverGrpc()).toEqual([madeOverGrpc, "skynetes; hit"]);
    for (const name of [
      "etag",
      "cache-control",
      "x-skynetes-completeness-bin",
      "x-skynetes-version",
      "x-skynetes-epoch",
    ]) {
      expect(kept.headers.get(name), name).toBe(made.headers.get(name));
    }
    expect(kept.headers.get("x-skynetes-query-id")).not.toBe(made.headers.get("x-skynetes-query-id"));
    expect(calls()).toEqual([2, 2, 2, 2]);
  });

  test("made over gRPC is the same body over HTTP as one that HTTP made", async () => {
    await start();
    const asked = ["a", 'b\u0000"\\ü€😀', "x".repeat(70_000)];
    for (const text of asked) {
      for (const shard of mesh.allShards) shard.script.echo = () => ({ rows: 2n ** 60n, big: 2n ** 64n - 1n, text });
      const [, first] = await echoOverGrpc({ text });
      const kept = await mesh.echo({ text });
      const again = await mesh.echo({ text });
      expect([first, cacheStatus(kept), cacheStatus(again)]).toEqual([
        "skynetes; fwd=miss; stored",
        "skynetes; hit",
        "skynetes; hit",
      ]);
      const made = await mesh.post(ECHO, { text }, { headers: { "cache-control": "no-cache" } });
      expect([cacheStatus(made), made.text === kept.text, made.text === again.text]).toEqual([
        "skynetes; fwd=request; stored",
        true,
        true,
      ]);
    }
  });

  test("is an answer of a set, byte for byte", async () => {
    await start();
    const ask = () => mesh.post("/v1/snapshots/s2", { queries: { one: { call: `${SERVICE}/Echo` } } });
    const [set, alone, again] = [await ask(), await mesh.echo(), await ask()];
    expect(set.text).toBe(`{"answers":{"one":${alone.text.trimEnd()}},"snapshot":{"id":"s2"}}\n`);
    expect([again.text, cacheStatus(alone)]).toEqual([set.text, "skynetes; hit"]);
    expect(calls()).toEqual([1, 1, 1, 1]);
  });

  test("is not asked for by who wants none, and not kept for who wants nothing kept", async () => {
    await start();
    expect(cacheStatus(await wishing("no-store"))).toBe("skynetes; fwd=miss");
    expect(cacheStatus(await wishing("max-age=0"))).toBe("skynetes; fwd=miss; stored");
    expect(cacheStatus(await wishing("private, No-Cache"))).toBe("skynetes; fwd=request; stored");
    expect(calls()).toEqual([3, 3, 3, 3]);
    expect(cacheStatus(await mesh.echo())).toBe("skynetes; hit");
  });

  test("there is none of a method whose answer may differ, nor with the caches switched off", async () => {
    await start({ nondeterministic: true });
    for (let time = 0; time < 2; time++) expect(cacheStatus(await mesh.echo())).toBe("skynetes; fwd=bypass");
    await mesh.close();
    client.close();
    await start({ limits: { cacheBytesMax: 0 } });
    for (let time = 0; time < 2; time++) expect(cacheStatus(await mesh.echo())).toBe("skynetes; fwd=bypass");
    expect(calls()).toEqual([2, 2, 2, 2]);
  });

  test("that is large is a query under way until its reader has taken it", async () => {
    await start({ limits: { cacheBytesMax: 2 ** 30 } });
    const text = "x".repeat(8 * 2 ** 20);
    mesh.shard(0).script.echo = () => ({ rows: 1n, text });
    await mesh.echo();
    const response = await fetch(mesh.url(`${ECHO}?request={}`), { headers: { "x-skynetes-query-id": "slow" } });
    expect(response.headers.get("cache-status")).toBe("skynetes; hit");
    const { queries } = (await mesh.get("/v1/queries")).json;
    expect(queries.map(({ id }: { id: string }) => id)).toEqual(["slow"]);
    expect((await mesh.get("/v1/queries/slow", { method: "DELETE" })).status).toBe(204);
    await expect(response.text()).rejects.toThrow();
    expect((await mesh.get("/v1/queries")).json.queries).toEqual([]);
  });
});

describe("promise 2: an incomplete answer is never kept", () => {
  test("the next one asks for what was missing, and is whole", async () => {
    await start();
    mesh.shard(2).script.fail = () => ({ code: 13, details: "broken" });
    const partial = await mesh.echo({}, "?completeness=partial");
    expect([partial.json.completeness.complete, cacheStatus(partial)]).toEqual([false, "skynetes; fwd=miss"]);
    const again = await mesh.echo({}, "?completeness=partial");
    expect([again.json.completeness.complete, cacheStatus(again)]).toEqual([
      false,
      'skynetes; fwd=miss; detail="partials=3/4"',
    ]);
    mesh.shard(2).script = { echo: () => ({ rows: 1n }) };
    const whole = await mesh.echo({}, "?completeness=partial");
    expect([whole.json.completeness.complete, whole.json.answer.rows, cacheStatus(whole)]).toEqual([
      true,
      "4",
      'skynetes; fwd=miss; stored; detail="partials=3/4"',
    ]);
    expect(cacheStatus(await mesh.echo())).toBe("skynetes; hit");
    expect(calls()).toEqual([1, 1, 3, 1]);
  });
});

describe("joined queries", () => {
  test("over HTTP and gRPC scatter once and have the bytes of one that was not joined", async () => {
    await start();
    const alone = await wishing("no-cache, no-store");
    const [aloneOverGrpc] = await echoOverGrpc({}, { "cache-control": "no-cache, no-store" });
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    for (const shard of mesh.allShards) shard.script.delay = () => held;
    const first = mesh.echo();
    await mesh.until(() => mesh.shard(3).calls.length === 3, "the shards are asked");
    const others = [mesh.echo(), mesh.get(`${ECHO}?request={}`), mesh.echo({}, "", "latest")];
    const overGrpc = echoOverGrpc();
    const listed = async () => (await mesh.get("/v1/queries")).json.queries.length;
    while ((await listed()) < 5) await new Promise((resolve) => setTimeout(resolve, 5));
    release();
    const replies = await Promise.all([first, ...others]);
    expect(replies.map((reply) => reply.text === alone.text)).toEqual([true, true, true, true]);
    const collapsed = "skynetes; fwd=miss; collapsed";
    expect(replies.map(cacheStatus)).toEqual(["skynetes; fwd=miss; stored", collapsed, collapsed, collapsed]);
    expect(await overGrpc).toEqual([aloneOverGrpc, collapsed]);
    expect(calls()).toEqual([3, 3, 3, 3]);
  });

  test("scatter each with joining switched off", async () => {
    await start({ joins: false, limits: { cacheBytesMax: 0 } });
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    for (const shard of mesh.allShards) shard.script.delay = () => held;
    const both = [mesh.echo(), mesh.echo()];
    await mesh.until(() => mesh.allShards.every((shard) => shard.calls.length === 2), "each is asked for both");
    release();
    for (const reply of await Promise.all(both)) expect(cacheStatus(reply)).toBe("skynetes; fwd=bypass");
  });

  test("a slow reader of one does not hold up the others", async () => {
    await start();
    mesh.shard(0).script.echo = () => ({ rows: 1n, text: "x".repeat(8 * 2 ** 20) });
    const [slow, quick] = await Promise.all([fetch(mesh.url(`${ECHO}?request={}`)), mesh.echo()]);
    expect(quick.json.completeness.complete).toBe(true);
    expect((await slow.text()) === quick.text).toBe(true);
  });
});
