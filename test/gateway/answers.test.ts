import { fromBinary } from "@bufbuild/protobuf";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { CompletenessSchema } from "../../src/wire/generated/skynetes/v1/stamp_pb.ts";
import { type ScriptedMesh, SERVICE, scriptedMesh, V1, V2 } from "./scripted-mesh.ts";

let mesh: ScriptedMesh;
beforeEach(async () => {
  mesh = await scriptedMesh();
});
afterEach(() => mesh.close());

const TWO_53 = 2n ** 53n;

describe("answers over HTTP", () => {
  test("a query asks every shard once and answers with all of them, in the documented shape", async () => {
    const reply = await mesh.echo({ text: "hello" });
    expect(reply.status).toBe(200);
    expect(reply.json).toEqual({
      answer: { rows: "4", text: "" },
      snapshot: { id: "s2", version: V2 },
      completeness: {
        complete: true,
        shards: { expected: 4, answered: 4 },
        rows: { expected: "1000", answered: "1000" },
        missing: [],
      },
    });
    expect(mesh.allShards.map((shard) => shard.calls.length)).toEqual([1, 1, 1, 1]);
  });

  test("the route headers name version, placement, shard and snapshot, and a client's own copies do not pass", async () => {
    await mesh.post(
      `/v1/snapshots/s1/${SERVICE}/Echo`,
      {},
      {
        headers: { "x-skynetes-version": "evil", "x-skynetes-shard": "9", "x-skynetes-placement": "evil" },
      },
    );
    const [call] = mesh.shard(2).calls;
    const header = (name: string) => call?.metadata.get(name);
    expect(header("x-skynetes-version")).toEqual([V1]);
    expect(header("x-skynetes-placement")).toEqual(["node-a"]);
    expect(header("x-skynetes-shard")).toEqual(["2"]);
    expect(header("x-skynetes-snapshot")).toEqual(["s1"]);
  });

  test("64-bit integers are exact on the way in, in the merge and on the way out", async () => {
    for (const shard of mesh.allShards) {
      shard.script.echo = (request) => ({
        rows: shard.shard === 0 ? TWO_53 : shard.shard === 1 ? 1n : 0n,
        greatest: request.number,
        big: request.big,
      });
    }
    const reply = await mesh.echo(`{"number": ${TWO_53 + 1n}, "big": ${2n ** 64n - 1n}}`);
    expect(reply.json.answer).toMatchObject({
      rows: String(TWO_53 + 1n),
      greatest: String(TWO_53 + 1n),
      big: String(2n ** 64n - 1n),
    });
    const asString = await mesh.echo({ number: String(-TWO_53 - 1n) });
    expect(asString.json.answer.greatest).toBe(String(-TWO_53 - 1n));
  });

  test("a sum beyond 64 bits is an error, never a wrong number", async () => {
    for (const shard of mesh.allShards) shard.script.echo = () => ({ rows: 2n ** 62n });
    const reply = await mesh.echo();
    expect([reply.status, reply.json.type]).toEqual([422, "https://skynetes.io/problems/overflow"]);
  });

  test("latest is resolved for the service; headers say what it was", async () => {
    const reply = await mesh.echo({}, "", "latest");
    expect(reply.json.snapshot).toEqual({ id: "s2", version: V2 });
    expect(reply.headers.get("x-skynetes-snapshot")).toBe("s2");
    expect(reply.headers.get("x-skynetes-version")).toBe(V2);
    expect(reply.headers.get("x-skynetes-epoch")).toBe("1");
    expect(reply.headers.get("server-timing")).toMatch(/scatter;dur=/);
    expect(reply.headers.get("x-skynetes-snapshot-age")).toMatch(/^\d+\.\d{3}$/);
    expect(Number(reply.headers.get("x-skynetes-snapshot-age"))).toBeGreaterThan(0);
    expect(reply.headers.get("age"), "that header is the caches' own").toBeNull();
  });

  test("an empty body is an empty request; GET of a method without side effects is the same query", async () => {
    const empty = await fetch(mesh.url(`/v1/snapshots/s2/${SERVICE}/Echo`), { method: "POST" });
    expect(empty.status).toBe(200);
    const get = await mesh.get(`/v1/snapshots/s2/${SERVICE}/Echo?request=${encodeURIComponent('{"text":"x"}')}`);
    const post = await mesh.echo({ text: "x" });
    expect(get.text).toBe(post.text);
    expect(get.headers.get("etag")).toBe(post.headers.get("etag"));
    const write = await mesh.get(`/v1/snapshots/s2/${SERVICE}/Write`);
    expect([write.status, write.headers.get("allow"), write.json.type]).toEqual([
      405,
      "POST",
      "https://skynetes.io/problems/method-not-allowed",
    ]);
  });
});

test("many shards are asked at once without a warning of leaks", async () => {
  const warnings: Error[] = [];
  const listen = (warning: Error) => warnings.push(warning);
  process.on("warning", listen);
  const wide = await scriptedMesh({ shards: 24 });
  try {
    for (const shard of wide.allShards) shard.script.delay = () => new Promise((resolve) => setTimeout(resolve, 50));
    expect((await wide.echo()).json.answer.rows).toBe("24");
    await new Promise((resolve) => setImmediate(resolve));
  } finally {
    process.off("warning", listen);
    await wide.close();
  }
  expect(warnings).toEqual([]);
});

describe("tags and caches", () => {
  test("an unpinned answer has a strong tag, is revalidated, and says where it is for ever", async () => {
    const reply = await mesh.echo({ number: "7" }, "", "latest");
    expect(reply.headers.get("cache-control")).toBe("no-cache");
    expect(reply.headers.get("etag")).toMatch(/^"[\w-]{32}"$/);
    const location = reply.headers.get("content-location") as string;
    expect(location).toContain(`/v1/snapshots/s2/${SERVICE}@${V2}/Echo`);
    const pinned = await mesh.get(location);
    expect(pinned.text).toBe(reply.text);
    expect(pinned.headers.get("etag")).toBe(reply.headers.get("etag"));
    expect(pinned.headers.get("cache-control")).toBe("public, max-age=31536000, immutable");
    expect(pinned.headers.get("content-location")).toBeNull();
    const known = await mesh.get(location, { headers: { authorization: "Bearer x" } });
    expect(known.headers.get("cache-control")).toBe("private, max-age=31536000, immutable");
  });

  test("a client that has the answer gets 304, and no shard is asked", async () => {
    const url = (text: string) => `/v1/snapshots/s2/${SERVICE}/Echo?request=${JSON.stringify({ text })}`;
    const etag = (await mesh.get(url("a"))).headers.get("etag") as string;
    const before = mesh.allShards.map((shard) => shard.calls.length);
    for (const known of [etag, `"other", W/${etag}`]) {
      const again = await mesh.get(url("a"), { headers: { "if-none-match": known } });
      expect([again.status, again.text, again.headers.get("etag")]).toEqual([304, "", etag]);
    }
    const head = await mesh.get(url("a"), { method: "HEAD", headers: { "if-none-match": etag } });
    expect(head.status).toBe(304);
    expect(mesh.allShards.map((shard) => shard.calls.length)).toEqual(before);
    expect((await mesh.get(url("b"), { headers: { "if-none-match": etag } })).status).toBe(200);
  });

  test("POST is never answered with 304, which is for GET and HEAD", async () => {
    const etag = (await mesh.echo({ text: "a" })).headers.get("etag") as string;
    const path = `/v1/snapshots/s2/${SERVICE}/Echo`;
    const again = await mesh.post(path, { text: "a" }, { headers: { "if-none-match": etag } });
    expect([again.status, again.headers.get("etag"), again.json.answer.rows]).toEqual([200, etag, "4"]);
  });

  test("`*` asks whether there is an answer, which only the shards can say", async () => {
    const ask = () => mesh.get(`/v1/snapshots/s2/${SERVICE}/Echo`, { headers: { "if-none-match": "*" } });
    expect((await ask()).status).toBe(200);
    for (const shard of mesh.allShards) shard.stop();
    const reply = await ask();
    expect([reply.status, reply.headers.get("cache-control")]).toEqual([503, "no-store"]);
  });

  test("a request too long for a URL has no content location, since the bare URL is another answer's", async () => {
    const long = await mesh.echo({ text: "x".repeat(3_000) }, "", "latest");
    expect([long.status, long.headers.get("content-location")]).toEqual([200, null]);
    const bare = await mesh.echo({}, "", "latest");
    expect(bare.headers.get("content-location")).toBe(`/v1/snapshots/s2/${SERVICE}@${V2}/Echo`);
  });

  test("completeness is in the headers too, for clients that do not read the body", async () => {
    const read = (reply: { headers: Headers }) =>
      fromBinary(CompletenessSchema, Buffer.from(reply.headers.get("x-skynetes-completeness-bin") as string, "base64"));
    expect(read(await mesh.echo())).toMatchObject({ complete: true, rows: { expected: 1000n, answered: 1000n } });
    mesh.shard(1).stop();
    expect(read(await mesh.echo({ text: "other" }, "?completeness=partial"))).toMatchObject({
      complete: false,
      missing: [{ shards: "1", reason: "UNAVAILABLE" }],
    });
  });

  test("the tag differs by request, snapshot and method", async () => {
    const replies = [
      await mesh.echo({ text: "a" }),
      await mesh.echo({ text: "b" }),
      await mesh.echo({ text: "a" }, "", "s1"),
      await mesh.post(`/v1/snapshots/s2/${SERVICE}/Write`, { text: "a" }),
    ];
    expect(new Set(replies.map((reply) => reply.headers.get("etag"))).size).toBe(4);
  });

  test("the same request gives the same bytes, in whatever order the shards answer", async () => {
    const texts = new Set<string>();
    for (let run = 0; run < 6; run++) {
      for (const shard of mesh.allShards) {
        shard.script.delay = () => new Promise((resolve) => setTimeout(resolve, ((shard.shard + run) % 4) * 8));
        shard.script.echo = () => ({ rows: 1n, text: `from ${shard.shard}` });
      }
      const anew = { headers: { "cache-control": "no-cache" } };
      texts.add((await mesh.post(`/v1/snapshots/s2/${SERVICE}/Echo`, {}, anew)).text);
    }
    expect(texts.size).toBe(1);
  });
});

test("a method whose answer may differ has no tag, is not kept, and is asked anew each time", async () => {
  const dice = await scriptedMesh({ nondeterministic: true });
  try {
    const path = `/v1/snapshots/s2/${SERVICE}@${V2}/Echo`;
    const first = await dice.get(path);
    expect([first.status, first.headers.get("etag"), first.headers.get("cache-control")]).toEqual([
      200,
      null,
      "no-store",
    ]);
    expect(first.headers.get("content-location")).toBeNull();
    await dice.get(path);
    expect(dice.shard(0).calls.length).toBe(2);
    expect((await dice.get(`${path}?explain=plan`)).json.etag).toBeNull();
  } finally {
    await dice.close();
  }
});

describe("answer sets", () => {
  test("each query has its answer or its error, all at one snapshot", async () => {
    const reply = await mesh.post("/v1/snapshots/latest", {
      queries: {
        good: { call: `${SERVICE}/Echo`, request: { text: "x" } },
        pinned: { call: `${SERVICE}@${V2}/Echo` },
        wrong: { call: `${SERVICE}/Echo`, request: { nothing: 1 } },
        stream: { call: `${SERVICE}/Rows` },
        unknown: { call: "probe.v1.Other/Echo" },
      },
    });
    expect(reply.status).toBe(200);
    expect(reply.json.snapshot).toEqual({ id: "s2" });
    expect(reply.json.answers.good.answer.rows).toBe("4");
    expect(reply.json.answers.pinned.completeness.complete).toBe(true);
    expect(reply.json.answers.wrong.error).toMatchObject({
      type: "https://skynetes.io/problems/invalid-request",
      errors: [{ pointer: "/queries/wrong/request/nothing" }],
    });
    expect(reply.json.answers.stream.error.status).toBe(400);
    expect(reply.json.answers.unknown.error.type).toContain("unknown-service");
  });

  test("a set of services that are all unknown says so, and not that the snapshot is", async () => {
    const reply = await mesh.post("/v1/snapshots/latest", { queries: { a: { call: "probe.v1.Other/Echo" } } });
    expect([reply.status, reply.json.type]).toEqual([404, "https://skynetes.io/problems/unknown-service"]);
    expect(reply.json.detail).toContain(SERVICE);
  });

  test("too many queries, unknown members and bad names are refused whole", async () => {
    const many = Object.fromEntries(Array.from({ length: 17 }, (_, i) => [`q${i}`, { call: `${SERVICE}/Echo` }]));
    for (const body of [
      { queries: many },
      { queries: {} },
      { quries: {} },
      { queries: { "a b": {} } },
      { queries: { a: { call: "x" } } },
      [],
    ]) {
      const reply = await mesh.post("/v1/snapshots/s2", body);
      expect([reply.status, reply.json.type], JSON.stringify(body).slice(0, 60)).toEqual([
        400,
        "https://skynetes.io/problems/invalid-request",
      ]);
    }
  });
});

describe("streams", () => {
  const rows = (path = "Rows") => `/v1/snapshots/s2/${SERVICE}/${path}`;
  beforeEach(() => {
    for (const shard of mesh.allShards) {
      shard.script.rows = Array.from({ length: 50 }, (_, i) => BigInt(i * 4 + shard.shard));
    }
  });
  const lines = (text: string) =>
    text
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));

  test("rows come in global order, one a line, and the last line says that the answer is whole", async () => {
    const reply = await mesh.post(rows(), {});
    expect(reply.headers.get("content-type")).toContain("application/x-ndjson");
    const all = lines(reply.text);
    expect(all.slice(0, -1)).toEqual(Array.from({ length: 200 }, (_, i) => ({ value: String(i), note: "" })));
    expect(all.at(-1)).toMatchObject({ $end: { completeness: { complete: true } } });
    expect(reply.headers.get("cache-control")).toBe("no-store");
  });

  test("limit and offset are of the whole; shards are asked for enough and stopped", async () => {
    const reply = await mesh.post(rows(), { limit: 5, offset: 10 });
    expect(
      lines(reply.text)
        .slice(0, -1)
        .map((row) => row.value),
    ).toEqual(["10", "11", "12", "13", "14"]);
    expect(mesh.shard(0).calls[0]?.request).toMatchObject({ limit: 15, offset: 0 });
  });

  test("a stream that breaks ends with an $error line that names the shard", async () => {
    mesh.shard(2).script.breakAfter = 20;
    const all = lines((await mesh.post(rows(), {})).text);
    expect(all.at(-1)).toMatchObject({
      $error: { type: "https://skynetes.io/problems/shard-unavailable", shard: 2, status: 503 },
    });
    expect(all.length).toBeLessThan(200);
  });

  test("a stream that broke before anybody read it is broken, not short", async () => {
    mesh.shard(0).script.breakAfter = 3;
    mesh.shard(3).script.before = () => new Promise((resolve) => setTimeout(resolve, 150));
    const all = lines((await mesh.post(rows(), {})).text);
    expect(all.at(-1)).toMatchObject({ $error: { type: "https://skynetes.io/problems/shard-unavailable", shard: 0 } });
  });

  test("a stream that cannot begin is a problem with its status, not a stream", async () => {
    mesh.shard(1).script.fail = () => ({ code: 13, details: "no" });
    const reply = await mesh.post(rows(), {});
    expect([reply.status, reply.json.shard]).toEqual([502, 1]);
  });

  test("a partial stream goes on without the broken shard and says so at its end", async () => {
    mesh.shard(3).script.breakAfter = 1;
    const all = lines((await mesh.post(`${rows()}?completeness=partial;min=0.5`, {})).text);
    expect(all.at(-1)).toMatchObject({
      $end: { completeness: { complete: false, shards: { expected: 4, answered: 3 }, missing: [{ shards: "3" }] } },
    });
    expect(all.length).toBe(1 + 150 + 1);
  });

  test("rows out of order are refused", async () => {
    mesh.shard(0).script.rows = [5n, 4n];
    const all = lines((await mesh.post(rows(), {})).text);
    expect(all.at(-1).$error.type).toContain("bad-partial");
  });
});
