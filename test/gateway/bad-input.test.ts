import { connect } from "node:net";
import { request as undici } from "undici";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type HttpReply, type ScriptedMesh, SERVICE, scriptedMesh } from "./scripted-mesh.ts";

let mesh: ScriptedMesh;
beforeAll(async () => {
  mesh = await scriptedMesh({ shards: 2 });
});
afterAll(() => mesh.close());

const ECHO = `/v1/snapshots/s2/${SERVICE}/Echo`;
const problem = (reply: HttpReply) => [reply.status, reply.json.type.replace("https://skynetes.io/problems/", "")];
const MALFORMED = [400, "malformed-request"];
const INVALID = [400, "invalid-request"];

describe("bodies", () => {
  const cases: [string, string, readonly (string | number)[], string][] = [
    ["truncated JSON", '{"text": "x"', MALFORMED, ""],
    ["nothing but white space", "  ", MALFORMED, ""],
    ["more after the value", "{} {}", MALFORMED, ""],
    ["a prototype", '{"__proto__": {"text": "x"}}', MALFORMED, "/__proto__"],
    ["a constructor", '{"constructor": {"prototype": {}}}', INVALID, "/constructor"],
    ["200,000 nested lists", "[".repeat(200_000), MALFORMED, "deep"],
    ["one level too deep", `${'{"inner":'.repeat(33)}{}${"}".repeat(33)}`, MALFORMED, "deep"],
    ["duplicate keys of different values", '{"text": "a", "text": "b"}', MALFORMED, "/text"],
    ["duplicate keys of equal values", '{"text": "a", "text": "a"}', MALFORMED, "/text"],
    ["a key spelt with an escape twice", '{"text": "a", "t\\u0065xt": "a"}', MALFORMED, "/text"],
    ["NaN", '{"real": NaN}', MALFORMED, "/real"],
    ["Infinity", '{"real": Infinity}', MALFORMED, "/real"],
    ["a number beyond doubles", '{"real": 1e400}', MALFORMED, "/real"],
    ["half a surrogate pair", '{"text": "\\ud800"}', MALFORMED, "/text"],
    ["a control character", '{"text": "\u0001"}', MALFORMED, "/text"],
    ["a leading zero", '{"number": 01}', MALFORMED, ""],
    ["an integer beyond 64 bits", '{"number": 9223372036854775808}', INVALID, "/number"],
    ["a negative unsigned", '{"big": -1}', INVALID, "/big"],
    ["a fraction for an integer", '{"number": 1.5}', INVALID, "/number"],
    ["a fraction that rounds to an integer", '{"number": 4503599627370497.4}', INVALID, "/number"],
    ["a large number for a string", '{"text": 12345678901234567890}', INVALID, "/text"],
    ["a string for a number", '{"number": "ten"}', INVALID, "/number"],
    ["a list for a message", "[]", INVALID, "EchoRequest"],
    ["a number for a message", "1", INVALID, "EchoRequest"],
    ["an unknown field", '{"txet": "x"}', INVALID, "/txet"],
    ["an unknown field far inside", '{"inner": {"inners": [{}, {"dpeth": 1}]}}', INVALID, "/inner/inners/1/dpeth"],
    ["a wrong element", '{"many": ["1", "x"]}', INVALID, "/many/1"],
    ["a pointer that needs escapes", '{"a/b~c": 1}', INVALID, "/a~1b~0c"],
  ];
  test.each(cases)("%s is refused", async (_name, body, expected, names) => {
    const reply = await mesh.post(ECHO, body);
    expect(problem(reply), reply.text).toEqual(expected);
    expect(reply.text).toContain(names);
    expect(reply.headers.get("content-type")).toContain("application/problem+json");
    expect(reply.headers.get("cache-control")).toBe("no-store");
  });

  test("every mistake of a body is listed with its pointer", async () => {
    const reply = await mesh.post(ECHO, '{"x": 1, "number": 1.5, "inner": {"depth": "deep"}}');
    expect(reply.json.errors.map((error: { pointer: string }) => error.pointer)).toEqual([
      "/x",
      "/number",
      "/inner/depth",
    ]);
  });

  test("integers written as 1e3 or 10.0 are integers; null is absent", async () => {
    for (const shard of mesh.allShards) shard.script.echo = (request) => ({ greatest: request.number });
    expect((await mesh.echo('{"number": 1e3}')).json.answer.greatest).toBe("1000");
    expect((await mesh.echo('{"number": 10.0}')).json.answer.greatest).toBe("10");
    expect((await mesh.echo('{"number": 922337203685477580.7e1}')).json.answer.greatest).toBe("9223372036854775807");
    expect((await mesh.echo('{"number": null}')).json.answer.greatest).toBe("0");
  });

  test("a body that is not UTF-8 is refused", async () => {
    const body = Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]);
    const reply = await undici(mesh.url(ECHO), {
      method: "POST",
      body,
      headers: { "content-type": "application/json" },
    });
    expect([reply.statusCode, ((await reply.body.json()) as { type: string }).type]).toEqual([
      400,
      "https://skynetes.io/problems/malformed-request",
    ]);
  });

  test("a body over the limit is refused, also when it does not say how long it is", async () => {
    const large = `{"text": "${"x".repeat(2 << 20)}"}`;
    expect(problem(await mesh.post(ECHO, large))).toEqual([413, "request-too-large"]);
    const chunks = (async function* () {
      for (let i = 0; i < 64; i++) yield Buffer.alloc(64 << 10, 0x20);
    })();
    const { statusCode } = await undici(mesh.url(ECHO), {
      method: "POST",
      body: chunks as never,
      headers: { "content-type": "application/json" },
    });
    expect(statusCode).toBe(413);
  });
});

describe("content types", () => {
  const post = async (type: string | undefined) => {
    const headers = type === undefined ? {} : { "content-type": type };
    const reply = await undici(mesh.url(ECHO), { method: "POST", body: Buffer.from("{}"), headers });
    return { status: reply.statusCode, text: await reply.body.text() };
  };
  test("JSON is JSON however it is written", async () => {
    for (const type of [
      "application/json",
      "Application/JSON",
      "application/json; charset=utf-8",
      "application/json;",
      'application/json; charset="UTF-8"',
    ]) {
      expect((await post(type)).status, type).toBe(200);
    }
  });
  test("anything else is refused, and curl's default gets advice", async () => {
    for (const type of [
      undefined,
      "text/plain",
      "application/x-protobuf",
      "application/jsonx",
      "application/json; charset=utf-16",
    ]) {
      expect((await post(type)).status, String(type)).toBe(415);
    }
    const form = await post("application/x-www-form-urlencoded");
    expect([form.status, form.text]).toEqual([415, expect.stringContaining("-H 'content-type: application/json'")]);
  });
});

describe("names and controls", () => {
  const cases: [string, number, string, string][] = [
    [`/v1/snapshots/nope/${SERVICE}/Echo`, 404, "unknown-snapshot", "nope"],
    [`/v1/snapshots/..%2F..%2Fetc%2Fpasswd/${SERVICE}/Echo`, 404, "unknown-snapshot", "etc"],
    [`/v1/snapshots/${"a".repeat(400)}/${SERVICE}/Echo`, 404, "unknown-snapshot", "aaa"],
    [`/v1/snapshots/lat%D0%B5st/${SERVICE}/Echo`, 404, "unknown-snapshot", "no such snapshot"],
    [`/v1/snapshots/latest;rm/${SERVICE}/Echo`, 404, "unknown-snapshot", "latest;rm"],
    ["/v1/snapshots/s2/probe.v1.Other/Echo", 404, "unknown-service", SERVICE],
    [`/v1/snapshots/s2/${SERVICE}/Ehco`, 404, "unknown-method", "Echo, Rows, Write"],
    [`/v1/snapshots/s2/${SERVICE}@probe-v1-00000001/Echo`, 404, "unknown-version", "probe-v2-00000002"],
    [`/v1/snapshots/s2/${SERVICE}/Echo?colour=red`, 400, "invalid-request", "colour"],
    [`/v1/snapshots/s2/${SERVICE}/Echo?timeout=1s&timeout=2s`, 400, "invalid-request", "more than once"],
    [`/v1/snapshots/s2/${SERVICE}/Echo?timeout=soon`, 400, "invalid-request", "soon"],
    [`/v1/snapshots/s2/${SERVICE}/Echo?timeout=0s`, 400, "invalid-request", "0s"],
    [`/v1/snapshots/s2/${SERVICE}/Echo?completeness=most`, 400, "invalid-request", "most"],
    [`/v1/snapshots/s2/${SERVICE}/Echo?completeness=partial;min=2`, 400, "invalid-request", "min=2"],
    [`/v1/snapshots/s2/${SERVICE}/Echo?explain=all`, 400, "invalid-request", "all"],
    [`/v1/snapshots/s2/${SERVICE}/Echo?request={}`, 400, "invalid-request", "request"],
    [`/v1/snapshots/s2/${SERVICE}/Rows`, 200, "", ""],
    ["/v2/snapshots", 404, "unknown-path", "/v2/snapshots"],
    ["/v1/snapshots/%zz/a/b", 400, "malformed-request", ""],
  ];
  test.each(cases)("POST %s", async (path, status, id, names) => {
    const reply = await mesh.post(path, {});
    expect(reply.status, reply.text).toBe(status);
    if (id !== "") expect(problem(reply)).toEqual([status, id]);
    expect(reply.text).toContain(names);
  });

  test("a negative limit is refused before any shard is asked", async () => {
    const before = mesh.allShards.map((shard) => shard.calls.length);
    const reply = await mesh.post(`/v1/snapshots/s2/${SERVICE}/Rows`, { limit: -1 });
    expect(problem(reply)).toEqual([400, "invalid-request"]);
    expect(reply.json.errors[0].pointer).toBe("/limit");
    expect(mesh.allShards.map((shard) => shard.calls.length)).toEqual(before);
  });

  test("other methods are refused with what is allowed", async () => {
    for (const [path, allow] of [
      [ECHO, "POST, GET, HEAD"],
      ["/v1/mesh", "GET, HEAD"],
      ["/v1/snapshots/s2", "GET, POST, HEAD"],
      ["/v1/queries/x", "DELETE"],
    ] as const) {
      const reply = await mesh.get(path, { method: "PUT", body: "{}" });
      expect([reply.status, reply.headers.get("allow")], path).toEqual([405, allow]);
    }
  });

  test("headers that are no ids or epochs are refused; a broken traceparent is only dropped", async () => {
    let number = 0;
    const send = (headers: Record<string, string>) => mesh.post(ECHO, { number: ++number }, { headers });
    expect(problem(await send({ "x-skynetes-query-id": "a b" }))).toEqual(INVALID);
    expect(problem(await send({ "x-skynetes-at-least": "soon" }))).toEqual(INVALID);
    for (const shard of mesh.allShards) shard.calls.length = 0;
    expect((await send({ traceparent: "00-nonsense" })).status).toBe(200);
    await send({ traceparent: `00-${"0".repeat(32)}-b7ad6b7169203331-01` });
    expect(mesh.shard(0).calls.map((call) => call.metadata.get("traceparent"))).toEqual([[], []]);
    const good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    await send({ traceparent: good });
    expect(mesh.shard(0).calls[2]?.metadata.get("traceparent")).toEqual([good]);
  });
});

describe("raw sockets", () => {
  /** Writes bytes as they are and returns what came back until the socket closed. */
  const raw = (text: string) =>
    new Promise<string>((resolve, reject) => {
      const [host, port] = mesh.gateway.httpAddress.split(":") as [string, string];
      const socket = connect(Number(port), host, () => socket.write(text));
      let got = "";
      socket.setTimeout(5_000, () => socket.destroy(new Error(`no end; got ${got}`)));
      socket.on("data", (bytes) => {
        got += bytes.toString();
      });
      socket.on("close", () => resolve(got));
      socket.on("error", reject);
    });
  const head = (more: string) =>
    `POST ${ECHO} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n${more}`;

  test("contradicting lengths, bad headers and huge headers are refused, and the gateway lives", async () => {
    const refused = async (more: string) => {
      const got = await raw(head(more));
      const [headers = "", body = ""] = got.split("\r\n\r\n");
      expect(headers).toContain("content-type: application/problem+json");
      const { type, status } = JSON.parse(body);
      expect(headers.split("\r\n")[0]).toContain(` ${status} `);
      return [status, type.replace("https://skynetes.io/problems/", "")];
    };
    const contradiction = "content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n";
    expect(await refused(contradiction)).toEqual(MALFORMED);
    expect(await refused("x: a\u0000b\r\n\r\n")).toEqual(MALFORMED);
    expect(await refused(`x: ${"y".repeat(40_000)}\r\n\r\n`)).toEqual([431, "headers-too-large"]);
    expect((await mesh.echo()).status).toBe(200);
  });
});
