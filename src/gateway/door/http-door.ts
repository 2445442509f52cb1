import type { JsonValue } from "@bufbuild/protobuf";
import type { FastifyReply, FastifyRequest } from "fastify";
import { Fault } from "../../fault/fault.ts";
import { faultFromUnknown } from "../../fault/fault-from-unknown.ts";
import { AT_LEAST_HEADER } from "../../mesh/route-headers.ts";
import type { Clock } from "../../process/clock.ts";
import { parseTraceparent } from "../../telemetry/trace-context.ts";
import type { Gateway } from "../gateway.ts";
import type { Answer } from "../query/answer.ts";
import type { PreparedQuery } from "../query/prepared-query.ts";
import { parseCacheWish } from "../receive/cache-wish.ts";
import { parseQuality } from "../receive/completeness-wish.ts";
import { clientSignal } from "../receive/http/client-signal.ts";
import { readQueryString } from "../receive/http/query-string.ts";
import { readJsonBody } from "../receive/http/read-body.ts";
import type { QueryIntent, RequestBody } from "../receive/query-intent.ts";
import { readJson } from "../receive/read-json.ts";
import { parseAtLeast, parseQueryId, parseServiceName, parseTimeout } from "../receive/request-controls.ts";
import { completenessJson, messageJson } from "../reply/answer-json.ts";
import { CACHE_STATUS_HEADER, cacheStatus } from "../reply/cache-status.ts";
import { matchesTag } from "../reply/entity-tag.ts";
import { NDJSON_TYPE, writeLines } from "../reply/ndjson.ts";
import { problemOf } from "../reply/problem.ts";
import { writeInPieces } from "../reply/reader-pace.ts";
import {
  ageHeader,
  cacheHeaders,
  completenessHeaders,
  QUERY_ID_HEADER,
  routeHeaders,
  timingHeaders,
} from "../reply/reply-headers.ts";
import { isGetAllowed } from "../resolve/describe-mesh.ts";
import { answerBody } from "./answer-body.ts";
import { answerSet } from "./answer-set.ts";
import { addRoute, type HttpServer, sendProblem } from "./http-server.ts";
import { turnAwayHttp } from "./turn-away.ts";

export const JSON_TYPE = "application/json; charset=utf-8";
/** Replies of this size are left to the socket's own buffer. */
const SMALL_BYTES = 64 * 1024;
export type TurnAway = (request: FastifyRequest, reply: FastifyReply) => boolean;
export type HttpHandler = (request: FastifyRequest, reply: FastifyReply) => unknown;
const CONTROLS = ["completeness", "explain", "timeout"] as const;

/**
 * Queries over HTTP: `/v1/snapshots/{snapshot}/{service}[@{version}]/{method}`. Returns the handler of answer sets, whose
 * path also describes the snapshot.
 */
export function addQueryRoutes(
  server: HttpServer,
  gateway: Gateway,
  clock: Clock,
): { readonly postAnswerSet: HttpHandler; readonly turnAway: TurnAway } {
  const door = new HttpDoor(gateway, clock);
  const turnAway: TurnAway = (request, reply) => turnAwayHttp(gateway.admission, reply, shownId(request));
  const guarded = (handle: (request: FastifyRequest, reply: FastifyReply) => Promise<unknown>) => {
    return (request: FastifyRequest, reply: FastifyReply) =>
      handle(request, reply).catch((error: unknown) => {
        const fault = faultFromUnknown(error, `${request.method} ${request.url.slice(0, 200)}`);
        return sendProblem(reply, problemOf(fault, shownId(request)));
      });
  };
  addRoute(
    server,
    "/v1/snapshots/:snapshot/:service/:method",
    {
      POST: guarded((request, reply) => door.query(request, reply, CONTROLS)),
      GET: guarded((request, reply) => door.query(request, reply, [...CONTROLS, "request"])),
    },
    problemOf,
    turnAway,
  );
  return { turnAway, postAnswerSet: guarded((request, reply) => door.set(request, reply)) };
}

class HttpDoor {
  readonly #gateway: Gateway;
  readonly #clock: Clock;

  constructor(gateway: Gateway, clock: Clock) {
    this.#gateway = gateway;
    this.#clock = clock;
  }

  async query(
    request: FastifyRequest,
    reply: FastifyReply,
    controls: readonly ("completeness" | "explain" | "timeout" | "request")[],
  ): Promise<unknown> {
    const { snapshot, service, method } = request.params as { snapshot: string; service: string; method: string };
    const query = readQueryString(request.query, controls);
    if (query.explain !== undefined && query.explain !== "plan" && query.explain !== "profile") {
      const shown = JSON.stringify(query.explain.slice(0, 80));
      throw new Fault("invalid-request", `read explain: ${shown} is neither "plan" nor "profile"`);
    }
    const depthMax = this.#gateway.limits.jsonDepthMax;
    const bytes = request.body as Buffer | undefined;
    const body: RequestBody =
      request.method === "POST"
        ? { kind: "text", text: bytes?.toString("latin1") ?? "", read: () => readJsonBody(bytes, depthMax) }
        : // A URL's characters are no body's bytes: what no JSON begins with keeps them apart.
          { kind: "text", text: `?${query.request ?? "{}"}`, read: () => readJson(query.request ?? "{}", depthMax) };
    const prepared = this.#gateway.prepare({
      target: { snapshot, ...parseServiceName(service), method },
      body,
      quality: parseQuality(query.completeness),
      timeoutMs: parseTimeout(query.timeout),
      ...wishesOf(request),
      wantsProfile: query.explain === "profile",
      signal: clientSignal(reply.raw),
    });
    const getAllowed = isGetAllowed(prepared.resolved.plan.method);
    if (request.method !== "POST" && !getAllowed) {
      void reply.header("allow", "POST");
      throw new Fault("method-not-allowed", `${request.method} ${service}/${method}: it is not marked NO_SIDE_EFFECTS`);
    }
    if (query.explain === "plan") return sendJson(reply, this.#gateway.explain(prepared), routeHeaders(prepared));

    const caching = cacheHeaders(prepared, {
      isAnonymous: request.headers.authorization === undefined,
      getAllowed,
      requestJson: () => JSON.stringify(this.#requestJson(prepared)),
    });
    const isStream = prepared.resolved.plan.merge.kind === "sorted";
    // 304 is an answer to GET and HEAD only (RFC 9110, 13.1.2).
    const isConditional = request.method !== "POST" && !isStream && prepared.tag !== undefined;
    if (isConditional && matchesTag(request.headers["if-none-match"], prepared.tag)) {
      // The tag is known without asking any shard, so a client that has the answer costs no scatter.
      return reply
        .code(304)
        .headers({ ...routeHeaders(prepared), ...ageHeader(prepared, this.#clock.now()), ...caching })
        .send();
    }
    try {
      return await (isStream ? this.#stream(prepared, reply) : this.#answer(prepared, reply, caching));
    } catch (error) {
      const fault = faultFromUnknown(error, `${service}/${method}`);
      return sendProblem(reply.headers(routeHeaders(prepared)), problemOf(fault, prepared.id));
    }
  }

  async #answer(query: PreparedQuery, reply: FastifyReply, caching: Record<string, string>): Promise<unknown> {
    const answer = await this.#gateway.answer(query);
    try {
      return await this.#send(query, answer, reply, caching);
    } finally {
      answer.close();
    }
  }

  async #send(
    query: PreparedQuery,
    answer: Answer,
    reply: FastifyReply,
    caching: Record<string, string>,
  ): Promise<unknown> {
    const { completeness, outcome } = answer;
    const body = await answerBody(query, answer, this.#clock, this.#profileOf(query));
    // An incomplete answer is never kept and never shared.
    const kept = completeness.complete ? caching : { "cache-control": "no-store" };
    const headers = {
      ...routeHeaders(query),
      ...kept,
      ...completenessHeaders(completeness),
      [CACHE_STATUS_HEADER]: cacheStatus(outcome),
      ...timingHeaders(query, this.#clock.now()),
    };
    return this.#sendBounded(reply, body, headers, answer);
  }

  /** At the reader's pace: the bytes count as held until it has taken them, and it is given up when it does not. */
  async #sendBounded(
    reply: FastifyReply,
    bytes: Buffer,
    headers: Record<string, string>,
    answer: Pick<Answer, "hold" | "signal">,
  ): Promise<FastifyReply> {
    if (bytes.length <= SMALL_BYTES) return sendJsonBytes(reply, bytes, headers);
    answer.hold(bytes.length);
    const { signal } = answer;
    reply.hijack();
    const out = reply.raw;
    try {
      out.writeHead(200, { ...headers, "content-type": JSON_TYPE, "content-length": bytes.length });
      await writeInPieces(out, bytes, { clock: this.#clock, stalledMs: this.#gateway.limits.stalledReaderMs, signal });
      out.end();
    } catch {
      // Its length was promised: the reader sees that the rest is missing.
      out.destroy();
    }
    return reply;
  }

  async #stream(query: PreparedQuery, reply: FastifyReply): Promise<unknown> {
    const stream = await this.#gateway.stream(query);
    const { plan, version } = query.resolved;
    reply.hijack();
    const out = reply.raw;
    try {
      out.writeHead(200, {
        ...routeHeaders(query),
        ...timingHeaders(query, this.#clock.now()),
        // Whether a stream is whole is known at its end, when its headers are long sent: a cache that kept one that
        // broke would serve for a year what every reader must reject.
        "cache-control": "no-store",
        "content-type": NDJSON_TYPE,
      });
      const lines = (async function* () {
        for await (const row of stream.messages) yield messageJson(plan.method.output, row, version.registry);
      })();
      const last = () => ({
        $end: { completeness: completenessJson(stream.completeness()), ...this.#profileOf(query) },
      });
      await writeLines(out, lines, last, {
        clock: this.#clock,
        stalledMs: this.#gateway.limits.stalledReaderMs,
        signal: stream.signal,
      });
      out.end();
    } catch (error) {
      if (out.destroyed) return reply;
      const fault = faultFromUnknown(error, "stream answer");
      if (out.writableNeedDrain) out.destroy();
      else out.end(`${JSON.stringify({ $error: problemOf(fault, query.id) })}\n`);
    } finally {
      stream.close();
    }
    return reply;
  }

  async set(request: FastifyRequest, reply: FastifyReply): Promise<unknown> {
    const { snapshot } = request.params as { snapshot: string };
    const query = readQueryString(request.query, ["completeness", "timeout"]);
    const wishes = {
      quality: parseQuality(query.completeness),
      timeoutMs: parseTimeout(query.timeout),
      ...wishesOf(request),
      signal: clientSignal(reply.raw),
    };
    const body = readJsonBody(request.body as Buffer | undefined, this.#gateway.limits.jsonDepthMax);
    const held: Answer[] = [];
    try {
      const keep = (answer: Answer) => held.push(answer);
      const answers = await answerSet(this.#gateway, snapshot, body, wishes, this.#clock, keep);
      const hold = (bytes: number) => held[0]?.hold(bytes);
      const signal = AbortSignal.any([wishes.signal, ...held.map((answer) => answer.signal)]);
      return await this.#sendBounded(reply, answers, { "cache-control": "no-store" }, { hold, signal });
    } finally {
      for (const answer of held) answer.close();
    }
  }

  #profileOf(query: PreparedQuery): { readonly profile?: JsonValue } {
    const profile = this.#gateway.profile(query);
    return profile === undefined ? {} : { profile: profile as unknown as JsonValue };
  }

  #requestJson(query: PreparedQuery): JsonValue {
    return messageJson(query.resolved.plan.method.input, query.request, query.resolved.version.registry, "given");
  }
}

/** Headers that mean the same for every kind of query. Faults: `invalid-request`. */
function wishesOf(request: FastifyRequest): Pick<QueryIntent, "queryId" | "atLeast" | "traceparent" | "cache"> {
  const header = (name: string) => {
    const value = request.headers[name];
    return Array.isArray(value) ? value.join(", ") : value;
  };
  return {
    queryId: parseQueryId(header(QUERY_ID_HEADER)),
    atLeast: parseAtLeast(header(AT_LEAST_HEADER)),
    traceparent: parseTraceparent(header("traceparent")),
    cache: parseCacheWish(header("cache-control")),
  };
}

/** A client's own id is shown in the problem too, also when nothing could be prepared under it. */
function shownId(request: FastifyRequest): string | undefined {
  const id = request.headers[QUERY_ID_HEADER];
  return typeof id === "string" && /^[A-Za-z0-9._-]{1,128}$/.test(id) ? id : undefined;
}

export function sendJson(reply: FastifyReply, body: unknown, headers: Record<string, string> = {}): FastifyReply {
  return sendJsonBytes(reply, Buffer.from(`${JSON.stringify(body)}\n`), headers);
}

function sendJsonBytes(reply: FastifyReply, bytes: Buffer, headers: Record<string, string>): FastifyReply {
  return reply.headers({ "cache-control": "no-store", ...headers, "content-type": JSON_TYPE }).send(bytes);
}
