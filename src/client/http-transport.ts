import { Agent, type Dispatcher, request } from "undici";
import { errorOfProblem, QueryError } from "./query-error.ts";
import type { QueryOptions } from "./query-request.ts";

/** Above the gateway's longest deadline: the gateway ends a query, this only guards against one that died. */
const SILENCE_MAX_MS = 150_000;
/** What the gateway may take beyond the timeout that was asked for, before it is given up. */
const SLACK_MS = 5_000;

/** HTTP to one gateway over kept connections. Everything but a 2xx reply is thrown as a QueryError. */
export class HttpTransport {
  readonly #baseUrl: string;
  readonly #agent = new Agent({ connect: { timeout: 5_000 } });

  constructor(baseUrl: string) {
    this.#baseUrl = baseUrl.replace(/\/+$/, "");
  }

  get(path: string, options: Pick<QueryOptions, "signal">, attempted: string): Promise<HttpReply> {
    return this.#send({ method: "GET" }, path, options, attempted);
  }

  post(path: string, body: string, options: QueryOptions, attempted: string): Promise<HttpReply> {
    return this.#send(
      { method: "POST", body, headers: { "content-type": "application/json" } },
      path,
      options,
      attempted,
    );
  }

  close(): Promise<void> {
    return this.#agent.close();
  }

  async #send(
    what: { method: "GET" | "POST"; body?: string; headers?: Record<string, string> },
    path: string,
    { signal, timeoutMs }: QueryOptions,
    attempted: string,
  ): Promise<HttpReply> {
    const silenceMs = timeoutMs === undefined ? SILENCE_MAX_MS : timeoutMs + SLACK_MS;
    let reply: Dispatcher.ResponseData;
    try {
      reply = await request(`${this.#baseUrl}${path}`, {
        ...what,
        dispatcher: this.#agent,
        headersTimeout: silenceMs,
        bodyTimeout: silenceMs,
        ...(signal === undefined ? {} : { signal }),
      });
    } catch (error) {
      throw unreachable(error, `${attempted} on ${this.#baseUrl}`, signal);
    }
    const { statusCode, headers, body } = reply;
    const wrapped = new HttpReply(body, String(headers["content-type"] ?? ""), attempted, signal);
    if (statusCode >= 200 && statusCode < 300) return wrapped;
    const text = await wrapped.text();
    if (!wrapped.isJson) throw new QueryError("broken-answer", `${attempted}: HTTP status ${statusCode}`);
    throw errorOfProblem(wrapped.parse(text), attempted);
  }
}

export class HttpReply {
  readonly #body: Dispatcher.ResponseData["body"];
  readonly #contentType: string;
  readonly #attempted: string;
  readonly #signal: AbortSignal | undefined;

  constructor(
    body: Dispatcher.ResponseData["body"],
    contentType: string,
    attempted: string,
    signal: AbortSignal | undefined,
  ) {
    this.#body = body;
    this.#contentType = contentType.toLowerCase();
    this.#attempted = attempted;
    this.#signal = signal;
  }

  get isNdjson(): boolean {
    return this.#contentType.startsWith("application/x-ndjson");
  }

  get isJson(): boolean {
    return /^application\/([\w.-]+\+)?json/.test(this.#contentType);
  }

  async text(): Promise<string> {
    try {
      return await this.#body.text();
    } catch (error) {
      throw unreachable(error, this.#attempted, this.#signal);
    }
  }

  async json(): Promise<unknown> {
    return this.parse(await this.text());
  }

  parse(text: string): unknown {
    try {
      return JSON.parse(text);
    } catch (error) {
      throw new QueryError("broken-answer", `${this.#attempted}: the reply is not JSON`, undefined, error);
    }
  }

  /** Leaving the loop early closes the connection, and with it the query. */
  async *chunks(): AsyncGenerator<Uint8Array> {
    try {
      for await (const chunk of this.#body) yield chunk as Uint8Array;
    } catch (error) {
      throw unreachable(error, this.#attempted, this.#signal);
    } finally {
      this.#body.on("error", () => {}).destroy();
    }
  }
}

function unreachable(error: unknown, attempted: string, signal: AbortSignal | undefined): unknown {
  // The caller's own reason, as every API with an AbortSignal does.
  if (signal?.aborted) return signal.reason;
  const { message, code } = error as { message?: string; code?: string };
  return new QueryError("gateway-unreachable", `${attempted}: ${message || code || "no connection"}`, undefined, error);
}
