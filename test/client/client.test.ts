import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import { afterEach, describe, expect, test, vi } from "vitest";
import { DelayService } from "../../examples/flights/generated/flights/v1/delay_pb.ts";
import { type Client, createClient, QueryError } from "../../src/client/client.ts";

let server: Server | undefined;
let client: Client | undefined;
afterEach(async () => {
  server?.closeAllConnections();
  server?.close();
  await client?.close();
});

/** A gateway that says what the test wants. */
async function gateway(handler: RequestListener): Promise<Client> {
  server = createServer(handler);
  await new Promise<void>((done) => server?.listen(0, "127.0.0.1", done));
  client = createClient({ baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}/` });
  return client;
}

const COMPLETE = {
  complete: true,
  shards: { expected: 4, answered: 4 },
  rows: { expected: "9007199254740993", answered: "9007199254740993" },
  missing: [],
};

function says(body: unknown, status = 200, type = "application/json"): RequestListener {
  return (_, response) => {
    response.writeHead(status, { "content-type": type });
    response.end(typeof body === "string" ? body : JSON.stringify(body));
  };
}

const { summarize, search } = DelayService.method;

async function failure(work: Promise<unknown>): Promise<QueryError> {
  const error = await work.then(
    () => undefined,
    (e: unknown) => e,
  );
  expect(error).toBeInstanceOf(QueryError);
  return error as QueryError;
}

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

describe("query", () => {
  test("numbers beyond 2^53 arrive exactly", async () => {
    const asking = await gateway(
      says({ answer: { flights: "9007199254740993" }, snapshot: { id: "s", version: "v" }, completeness: COMPLETE }),
    );
    const { answer, snapshot, completeness } = await asking.query(summarize, "latest", {});
    expect(answer.flights).toBe(9007199254740993n);
    expect(snapshot).toEqual({ id: "s", version: "v" });
    expect(completeness.rows?.answered).toBe(9007199254740993n);
  });

  test("path, controls and body are what the gateway expects", async () => {
    const seen = vi.fn();
    const asking = await gateway((request, response) => {
      let body = "";
      request.on("data", (chunk) => {
        body += chunk;
      });
      request.on("end", () => {
        seen(request.method, request.url, request.headers["content-type"], body);
        says({ answer: {}, snapshot: { id: "s", version: "v" }, completeness: COMPLETE })(request, response);
      });
    });
    await asking.query(
      summarize,
      "h1-2001",
      { origin: "LAX" },
      { completeness: { kind: "partial", min: 0.5 }, timeoutMs: 2000, version: "delay-v1-0a1b2c3d" },
    );
    expect(seen).toHaveBeenCalledWith(
      "POST",
      "/v1/snapshots/h1-2001/flights.v1.DelayService@delay-v1-0a1b2c3d/Summarize?completeness=partial%3Bmin%3D0.5&timeout=2000ms",
      "application/json",
      '{"origin":"LAX"}',
    );
  });

  test("a problem is thrown whole, by its id", async () => {
    const problem = {
      type: "https://skynetes.io/problems/incomplete-answer",
      title: "Some shards did not answer",
      status: 503,
      detail: "shard 2 did not answer",
      code: "UNAVAILABLE",
      retryable: true,
      shard: 2,
    };
    const asking = await gateway(says(problem, 503, "application/problem+json"));
    const error = await failure(asking.query(summarize, "s", {}));
    expect(error).toMatchObject({ id: "incomplete-answer", message: "shard 2 did not answer", retryable: true });
    expect(error.problem).toEqual(problem);
  });

  test.each([
    ["a proxy's page", says("<html>", 502, "text/html"), "HTTP status 502"],
    ["a body that is not JSON", says("{", 200), "not JSON"],
    ["a body without an answer", says({ completeness: COMPLETE }), "has no answer"],
    ["an answer of another shape", says({ answer: { flights: "x" }, snapshot: {}, completeness: COMPLETE }), "flights"],
    ["an answer that does not say how complete it is", says({ answer: {}, snapshot: {} }), "how complete"],
  ])("%s is a broken answer, never an empty one", async (_, handler, message) => {
    const error = await failure((await gateway(handler)).query(summarize, "s", {}));
    expect(error.id).toBe("broken-answer");
    expect(error.message).toContain(message);
  });

  test("nobody there is gateway-unreachable, and may be tried again", async () => {
    const asking = await gateway(says({}));
    server?.close();
    const error = await failure(asking.query(summarize, "s", {}));
    expect(error).toMatchObject({ id: "gateway-unreachable", retryable: true });
  });

  test("the caller's signal ends the call with the caller's reason, and the gateway sees the client go", async () => {
    const gone = vi.fn();
    const asking = await gateway((request) => {
      request.on("close", gone);
    });
    const stop = new AbortController();
    const asked = asking.query(summarize, "s", {}, { signal: stop.signal });
    await pause(50);
    stop.abort(new Error("had enough"));
    await expect(asked).rejects.toThrow("had enough");
    await vi.waitFor(() => expect(gone).toHaveBeenCalled(), 20_000);
  });
});

describe("stream", () => {
  const NDJSON = "application/x-ndjson";
  const row = (n: string) => `{"origin":"LAX","distanceMiles":"${n}"}\n`;
  const end = `${JSON.stringify({ $end: { completeness: COMPLETE } })}\n`;

  test("messages come exactly, then how complete it was", async () => {
    const asking = await gateway(says(row("9007199254740993") + row("2") + end, 200, NDJSON));
    const stream = asking.stream(search, "s", {});
    expect((await collect(stream)).map((m) => m.distanceMiles)).toEqual([9007199254740993n, 2n]);
    expect(stream.completeness?.complete).toBe(true);
  });

  test("characters that are split between chunks are put together", async () => {
    const asking = await gateway(async (_, response) => {
      response.writeHead(200, { "content-type": NDJSON });
      for (const byte of Buffer.from(`{"origin":"Zürich ✈"}\n${end}`)) {
        response.write(Buffer.of(byte));
        if (byte > 127) await pause(2);
      }
      response.end();
    });
    expect((await collect(asking.stream(search, "s", {})))[0]?.origin).toBe("Zürich ✈");
  });

  test.each([
    ["ends without its last line", row("1") + row("2")],
    ["ends inside of its last line", row("1") + end.slice(0, -1)],
  ])("a body that %s throws, after the messages that came", async (_, body) => {
    const asking = await gateway(says(body, 200, NDJSON));
    const got: unknown[] = [];
    const reading = (async () => {
      for await (const message of asking.stream(search, "s", {})) got.push(message);
    })();
    expect((await failure(reading)).id).toBe("broken-answer");
    expect(got.length).toBeGreaterThan(0);
  });

  test("a connection that breaks in the middle throws", async () => {
    const asking = await gateway((_, response) => {
      response.writeHead(200, { "content-type": NDJSON });
      response.write(row("1"));
      setTimeout(() => response.destroy(), 20);
    });
    expect((await failure(collect(asking.stream(search, "s", {})))).id).toBe("gateway-unreachable");
  });

  test("an error in the middle is thrown as its problem", async () => {
    const problem = {
      type: "https://skynetes.io/problems/shard-unavailable",
      detail: "shard 1 went away",
      status: 503,
    };
    const asking = await gateway(says(`${row("1")}${JSON.stringify({ $error: problem })}\n`, 200, NDJSON));
    expect(await failure(collect(asking.stream(search, "s", {})))).toMatchObject({
      id: "shard-unavailable",
      message: "shard 1 went away",
    });
  });

  test("leaving the loop closes the connection, so that the gateway cancels", async () => {
    const gone = vi.fn();
    const asking = await gateway((_, response) => {
      response.on("close", gone);
      response.writeHead(200, { "content-type": NDJSON });
      response.write(row("1"));
    });
    for await (const _message of asking.stream(search, "s", {})) break;
    await vi.waitFor(() => expect(gone).toHaveBeenCalled(), 20_000);
  });
});

test("JSON calls hand on the gateway's text to the digit", async () => {
  const text = JSON.stringify({ answer: { flights: "18446744073709551615" }, snapshot: {}, completeness: COMPLETE });
  const asking = await gateway(says(text));
  const lines = await collect(asking.callJson({ snapshot: "s", service: "a.B", method: "C", request: "{}" }));
  expect(lines[0]).toMatchObject({ kind: "message", text });
  expect(lines[1]).toEqual({ kind: "end", completeness: COMPLETE });
});
