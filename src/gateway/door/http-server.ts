import type { Socket } from "node:net";
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest, type HTTPMethods } from "fastify";
import { Fault } from "../../fault/fault.ts";
import { faultFromUnknown } from "../../fault/fault-from-unknown.ts";
import type { GatewayLimits } from "../gateway-config.ts";
import { checkContentType } from "../receive/http/read-body.ts";
import type { Problem } from "../reply/problem.ts";
import { refuseUnreadable } from "./unreadable-request.ts";

export type HttpServer = FastifyInstance;
export type ProblemOf = (fault: Fault, queryId?: string) => Problem;

const METHODS: readonly HTTPMethods[] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/**
 * Fastify with one body parser and one error shape. Its default parsers are removed: they accept text/plain, follow
 * any nesting and keep the last of two equal keys.
 */
export function httpServer(limits: GatewayLimits, problemOf: ProblemOf): HttpServer {
  const server = Fastify({
    bodyLimit: limits.bodyBytesMax,
    // Names are looked up in maps, so length is no danger; the default of 100 would hide the reason behind a 404.
    routerOptions: { maxParamLength: 512 },
    // A client that sends its request byte by byte does not hold a socket for ever.
    requestTimeout: 30_000,
    connectionTimeout: 0,
    keepAliveTimeout: 65_000,
    forceCloseConnections: "idle",
    logger: false,
    clientErrorHandler: (error, socket) => refuseUnreadable(error, socket, problemOf),
    frameworkErrors: (error, _request, reply) => {
      void sendProblem(reply, problemOf(fastifyFault(error)));
    },
  });
  server.removeAllContentTypeParsers();
  server.addContentTypeParser("*", { parseAs: "buffer" }, (request, body, done) => {
    try {
      if ((body as Buffer).length > 0) checkContentType(request.headers["content-type"]);
      done(null, body);
    } catch (error) {
      done(error as Error);
    }
  });
  server.setErrorHandler((error, _request, reply) => sendProblem(reply, problemOf(fastifyFault(error))));
  server.setNotFoundHandler((request, reply) => {
    const fault = new Fault("unknown-path", `${request.method} ${request.url.slice(0, 200)}: nothing is here`);
    return sendProblem(reply, problemOf(fault));
  });
  return server;
}

/** For connections that somebody else has accepted. */
export async function takeConnections(server: HttpServer): Promise<(socket: Socket) => void> {
  await server.ready();
  // What Node does when it listens: it begins to keep account of connections, for its timeouts and for closing them.
  server.server.emit("listening");
  return (socket) => void server.server.emit("connection", socket);
}

/** Adds a route for some methods; the others are refused with `Allow` instead of looking like an unknown path. */
export function addRoute(
  server: HttpServer,
  url: string,
  handlers: { readonly [M in "GET" | "POST" | "DELETE"]?: (request: FastifyRequest, reply: FastifyReply) => unknown },
  problemOf: ProblemOf,
  /** Before anything of the body is read; it has replied when it says so. */
  turnAway: (request: FastifyRequest, reply: FastifyReply) => boolean = () => false,
): void {
  const allowed = Object.keys(handlers) as HTTPMethods[];
  for (const [method, handler] of Object.entries(handlers)) {
    server.route({
      method: method as HTTPMethods,
      url,
      onRequest: (request, reply, next) => void (turnAway(request, reply) || next()),
      handler: handler as never,
    });
  }
  refuseOtherMethods(server, url, allowed, problemOf);
}

/** Every method of a path but those that have a route. */
function refuseOtherMethods(
  server: HttpServer,
  url: string,
  allowed: readonly HTTPMethods[],
  problemOf: ProblemOf,
): void {
  const shown = allowed.includes("GET") ? [...allowed, "HEAD"] : allowed;
  server.route({
    method: METHODS.filter((method) => !shown.includes(method)),
    url,
    // Before the body is read: nobody waits for it.
    onRequest: async (request, reply) => {
      void reply.header("allow", shown.join(", "));
      const fault = new Fault("method-not-allowed", `${request.method} here: only ${shown.join(", ")}`);
      return sendProblem(reply, problemOf(fault));
    },
    handler: () => undefined,
  });
}

export function sendProblem(reply: FastifyReply, problem: Problem): FastifyReply {
  if (problem.retryAfterMs !== undefined) void reply.header("retry-after", Math.ceil(problem.retryAfterMs / 1000));
  if (problem.queryId !== undefined) void reply.header("x-skynetes-query-id", problem.queryId);
  return reply
    .code(problem.status)
    .header("cache-control", "no-store")
    .header("content-type", "application/problem+json; charset=utf-8")
    .send(Buffer.from(JSON.stringify(problem)));
}

/** What Fastify refuses by itself, in the words of the catalogue. */
function fastifyFault(error: unknown): Fault {
  if (error instanceof Fault) return error;
  const { statusCode, message } = error as { statusCode?: number; message?: string };
  switch (statusCode) {
    case 400:
    case 408:
    case 431:
      return new Fault("malformed-request", `read request: ${message}`, {}, error);
    case 413:
      return new Fault("request-too-large", `read request: ${message}`, {}, error);
    case 414:
      return new Fault("request-too-large", `read request: ${message}`, {}, error);
    case 415:
      return new Fault("unsupported-media-type", `read request: ${message}`, {}, error);
    case 503:
      return new Fault("not-ready", "the gateway is closing", { retryAfterMs: 500 }, error);
    default:
      return faultFromUnknown(error, "handle request");
  }
}
