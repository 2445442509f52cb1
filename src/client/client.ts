/**
 * The typed client of a gateway's HTTP interface.
 *
 *   const client = createClient({ baseUrl: "http://127.0.0.1:8080" });
 *   const { answer, completeness } = await client.query(DelayService.method.summarize, "h1-2001", { origin: "LAX" });
 *   for await (const flight of client.stream(DelayService.method.search, "h1-2001", { limit: 10 })) …
 *   await client.close();
 *
 * Messages are protobuf-es messages, so 64-bit integers are bigints and nothing passes through a double that is not
 * one. What gets no answer throws a QueryError. A partial answer is returned only when it was asked for.
 */
import {
  create,
  type DescMethodServerStreaming,
  type DescMethodUnary,
  fromJson,
  type JsonValue,
  type MessageInitShape,
  type MessageShape,
  toJsonString,
} from "@bufbuild/protobuf";
import { type Completeness, completenessOf } from "./answer-completeness.ts";
import { type AnswerLine, answerLines } from "./answer-lines.ts";
import { HttpTransport } from "./http-transport.ts";
import { QueryError } from "./query-error.ts";
import { type ExplainMode, type QueryOptions, queryPath } from "./query-request.ts";

export type { Problem } from "./query-error.ts";
export type { Completeness, QueryOptions };
export { QueryError };

export interface ClientOptions {
  /** `http://host:port` of a gateway. */
  readonly baseUrl: string;
}

export interface Answer<M extends DescMethodUnary> {
  readonly answer: MessageShape<M["output"]>;
  readonly snapshot: AnsweredSnapshot;
  readonly completeness: Completeness;
}

/** What answered: `latest` is resolved here. */
export interface AnsweredSnapshot {
  readonly id: string;
  readonly version: string;
}

/** Messages as they come. Leaving the loop early cancels the query on all shards. */
export interface AnswerStream<M extends DescMethodServerStreaming> extends AsyncIterable<MessageShape<M["output"]>> {
  /** Set once the loop has ended by itself. */
  readonly completeness: Completeness | undefined;
}

/** Calls without generated code: protobuf JSON as text in and out, exact to the digit. */
export interface JsonCall {
  readonly snapshot: string;
  readonly service: string;
  readonly method: string;
  readonly request: string;
}

export interface Client {
  query<M extends DescMethodUnary>(
    method: M,
    snapshot: string,
    request: MessageInitShape<M["input"]>,
    options?: QueryOptions,
  ): Promise<Answer<M>>;
  stream<M extends DescMethodServerStreaming>(
    method: M,
    snapshot: string,
    request: MessageInitShape<M["input"]>,
    options?: QueryOptions,
  ): AnswerStream<M>;
  /**
   * One message for a unary method, any number for a streaming one, then how complete it was. The gateway knows which
   * kind a method is.
   */
  callJson(call: JsonCall, options?: QueryOptions): AsyncIterable<AnswerLine>;
  /**
   * How the query would be answered, without asking the shards; with `profile` how it was, beside the answer. A stream's
   * rows are read and left: its end is returned.
   */
  explainJson(call: JsonCall, options?: QueryOptions, mode?: ExplainMode): Promise<unknown>;
  /** Any of the gateway's own resources: `/v1/snapshots`, `/v1/mesh`, `/v1/queries`. */
  getJson(path: string, options?: Pick<QueryOptions, "signal">): Promise<unknown>;
  close(): Promise<void>;
}

export function createClient({ baseUrl }: ClientOptions): Client {
  const http = new HttpTransport(baseUrl);

  async function query<M extends DescMethodUnary>(
    method: M,
    snapshot: string,
    request: MessageInitShape<M["input"]>,
    options: QueryOptions = {},
  ): Promise<Answer<M>> {
    const { path, attempted } = pathOf(method, snapshot, options);
    const reply = await http.post(path, requestText(method, request), options, attempted);
    const body = (await reply.json()) as { answer?: JsonValue; snapshot?: AnsweredSnapshot; completeness?: unknown };
    if (body?.answer === undefined || body.snapshot === undefined) {
      throw new QueryError("broken-answer", `${attempted}: the reply has no answer`);
    }
    return {
      answer: message(method, body.answer, attempted),
      snapshot: body.snapshot,
      completeness: completenessOf(body.completeness, attempted),
    };
  }

  function stream<M extends DescMethodServerStreaming>(
    method: M,
    snapshot: string,
    request: MessageInitShape<M["input"]>,
    options: QueryOptions = {},
  ): AnswerStream<M> {
    const { path, attempted } = pathOf(method, snapshot, options);
    let completeness: Completeness | undefined;
    return {
      get completeness() {
        return completeness;
      },
      async *[Symbol.asyncIterator]() {
        const reply = await http.post(path, requestText(method, request), options, attempted);
        for await (const line of answerLines(reply.chunks(), attempted)) {
          if (line.kind === "end") completeness = completenessOf(line.completeness, attempted);
          else yield message(method, line.json as JsonValue, attempted);
        }
      },
    };
  }

  async function* callJson(call: JsonCall, options: QueryOptions = {}): AsyncGenerator<AnswerLine> {
    const attempted = attempt(call.service, call.method, call.snapshot);
    const path = queryPath(call.snapshot, call.service, call.method, options);
    const reply = await http.post(path, call.request, options, attempted);
    if (reply.isNdjson) {
      yield* answerLines(reply.chunks(), attempted);
      return;
    }
    const text = await reply.text();
    const json = reply.parse(text) as { completeness?: unknown } | null;
    yield { kind: "message", json, text };
    yield { kind: "end", completeness: json?.completeness };
  }

  return {
    query,
    stream,
    callJson,
    async explainJson(call, options = {}, mode = "plan") {
      const attempted = `explain ${call.service}/${call.method} at ${call.snapshot}`;
      const path = queryPath(call.snapshot, call.service, call.method, options, mode);
      const reply = await http.post(path, call.request, options, attempted);
      if (!reply.isNdjson) return reply.json();
      for await (const line of answerLines(reply.chunks(), attempted)) if (line.kind === "end") return line.end;
      return undefined;
    },
    async getJson(path, options = {}) {
      return (await http.get(path, options, `get ${path}`)).json();
    },
    close: () => http.close(),
  };
}

function pathOf(method: DescMethodUnary | DescMethodServerStreaming, snapshot: string, options: QueryOptions) {
  const service = method.parent.typeName;
  return {
    path: queryPath(snapshot, service, method.name, options),
    attempted: attempt(service, method.name, snapshot),
  };
}

function attempt(service: string, method: string, snapshot: string): string {
  return `ask ${service}/${method} at ${snapshot}`;
}

function requestText<M extends DescMethodUnary | DescMethodServerStreaming>(
  method: M,
  request: MessageInitShape<M["input"]>,
): string {
  return toJsonString(method.input, create(method.input, request as never));
}

/** A gateway that is newer than this client may know more fields than its generated code. */
function message<M extends DescMethodUnary | DescMethodServerStreaming>(
  method: M,
  json: JsonValue,
  attempted: string,
): MessageShape<M["output"]> {
  try {
    return fromJson(method.output, json, { ignoreUnknownFields: true }) as MessageShape<M["output"]>;
  } catch (error) {
    throw new QueryError("broken-answer", `${attempted}: ${(error as Error).message}`, undefined, error);
  }
}
