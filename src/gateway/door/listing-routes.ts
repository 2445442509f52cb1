import { create, type DescMessage, type Message, toJson } from "@bufbuild/protobuf";
import type { FastifyReply, FastifyRequest } from "fastify";
import {
  DescribeMeshResponseSchema,
  DescribeSnapshotResponseSchema,
  ListQueriesResponseSchema,
  ListSnapshotsResponseSchema,
} from "../../wire/generated/skynetes/v1/gateway_pb.ts";
import type { Gateway } from "../gateway.ts";
import { readQueryString } from "../receive/http/query-string.ts";
import { parseAtLeast } from "../receive/request-controls.ts";
import { problemOf } from "../reply/problem.ts";
import { describeMesh, describeSnapshot, listSnapshots } from "../resolve/describe-mesh.ts";
import type { RoutingState } from "../table/routing-state.ts";
import type { WholeGateway } from "../whole-gateway.ts";
import { type HttpHandler, JSON_TYPE, sendJson, type TurnAway } from "./http-door.ts";
import { addRoute, type HttpServer } from "./http-server.ts";
import { openApi } from "./openapi.ts";

export interface ListingParts {
  readonly gateway: Gateway;
  readonly postAnswerSet: HttpHandler;
  /** Of answer sets, as of every query. */
  readonly turnAway: TurnAway;
  /** Of this process and its like. Closing gateways are not ready: balancers look elsewhere before the sockets close. */
  readonly whole: WholeGateway;
}

/** What is not a query: lists, health, metrics, the API's description. The same facts as GatewayService gives. */
export function addListingRoutes(server: HttpServer, parts: ListingParts): void {
  const { gateway, postAnswerSet, turnAway, whole } = parts;
  const get = (url: string, answer: (request: FastifyRequest, reply: FastifyReply) => unknown) => {
    const guarded = (request: FastifyRequest, reply: FastifyReply) => {
      readQueryString(request.query, []);
      return answer(request, reply);
    };
    addRoute(server, url, { GET: guarded }, problemOf);
  };
  const table = (request: FastifyRequest): RoutingState => {
    const atLeast = request.headers["x-skynetes-at-least"];
    return gateway.pinState(parseAtLeast(Array.isArray(atLeast) ? atLeast.join() : atLeast));
  };

  get("/v1/mesh", (request, reply) => send(reply, DescribeMeshResponseSchema, describeMesh(table(request))));
  get("/v1/snapshots", (request, reply) => send(reply, ListSnapshotsResponseSchema, listSnapshots(table(request))));
  const describeOne: HttpHandler = (request, reply) => {
    readQueryString(request.query, []);
    const { snapshot } = request.params as { snapshot: string };
    return send(reply, DescribeSnapshotResponseSchema, describeSnapshot(table(request), snapshot));
  };
  const turnAwaySet: TurnAway = (request, reply) => request.method === "POST" && turnAway(request, reply);
  addRoute(server, "/v1/snapshots/:snapshot", { GET: describeOne, POST: postAnswerSet }, problemOf, turnAwaySet);
  get("/v1/queries", async (_request, reply) => {
    const queries = create(ListQueriesResponseSchema, { queries: [...(await whole.queries())] });
    return send(reply, ListQueriesResponseSchema, queries);
  });
  addRoute(
    server,
    "/v1/queries/:id",
    {
      DELETE: async (request, reply) => {
        await whole.cancel((request.params as { id: string }).id);
        return reply.code(204).send();
      },
    },
    problemOf,
  );

  get("/healthz", (_request, reply) => sendJson(reply, { status: "alive" }));
  get("/readyz", async (request, reply) => {
    // A client may insist on an epoch here too.
    table(request);
    return sendJson(reply, { status: "ready", epoch: (await whole.ready()).toString() });
  });
  get("/metrics", async (_request, reply) => {
    const text = await whole.metrics();
    return reply.header("content-type", "text/plain; version=0.0.4; charset=utf-8").send(text);
  });
  get("/openapi.json", (request, reply) => {
    return reply.header("content-type", JSON_TYPE).send(Buffer.from(JSON.stringify(openApi(table(request)), null, 2)));
  });
}

function send<D extends DescMessage>(reply: FastifyReply, desc: D, message: Message): FastifyReply {
  return sendJson(reply, toJson(desc, message as never, { alwaysEmitImplicit: true }));
}
