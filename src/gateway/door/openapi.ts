import type { DescMethod } from "@bufbuild/protobuf";
import {
  DescribeMeshResponseSchema,
  DescribeSnapshotResponseSchema,
  ListQueriesResponseSchema,
  ListSnapshotsResponseSchema,
} from "../../wire/generated/skynetes/v1/gateway_pb.ts";
import { CompletenessSchema } from "../../wire/generated/skynetes/v1/stamp_pb.ts";
import { type JsonSchema, messageSchema, type SchemaDrawer } from "../reply/message-schema.ts";
import { isGetAllowed } from "../resolve/describe-mesh.ts";
import type { RoutingState } from "../table/routing-state.ts";

const JSON_TYPE = "application/json";

const SNAPSHOT = parameter("path", "snapshot", "Id of a snapshot, or `latest`.", { type: "string" });
const COMPLETENESS = parameter("query", "completeness", "`strict`, or `partial;min=0.5` (share of rows).", {
  type: "string",
  default: "strict",
});
const TIMEOUT = parameter("query", "timeout", "Such as `250ms`, `2s`, `1m`.", { type: "string" });
const EXPLAIN = parameter(
  "query",
  "explain",
  "`plan`: how it would be answered, without asking. `profile`: the answer, and how it came about.",
  {
    enum: ["plan", "profile"],
  },
);
const REQUEST = parameter("query", "request", "The request as JSON.", { type: "string", default: "{}" });

/** OpenAPI 3.1 of what this gateway serves now: the bound services as the newest versions describe them. */
export function openApi(state: RoutingState): JsonSchema {
  const drawer: SchemaDrawer = new Map();
  drawer.set("Problem", PROBLEM);
  const completeness = messageSchema(CompletenessSchema, drawer);
  const snapshot = {
    type: "object",
    properties: { id: { type: "string" }, version: { type: "string" } },
    required: ["id"],
  };

  const paths: Record<string, JsonSchema> = {};
  const services = [...state.surface.values()].sort((a, b) => (a.service < b.service ? -1 : 1));
  for (const { service, desc } of services) {
    for (const method of desc.methods) {
      paths[`/v1/snapshots/{snapshot}/${service}/${method.name}`] = queryPath(service, method, drawer, {
        completeness,
        snapshot,
      });
    }
  }
  const list = (summary: string, schema: JsonSchema) => ({ get: operation(summary, [], jsonReply(schema)) });
  return {
    openapi: "3.1.0",
    info: {
      title: `Skynetes mesh ${state.mesh}`,
      version: `epoch ${state.epoch}`,
      description: "Append `@version` to a service's name to insist on a service version; the answer is then pinned.",
    },
    paths: {
      ...paths,
      "/v1/snapshots/{snapshot}": {
        get: operation(
          "Describe a snapshot",
          [SNAPSHOT],
          jsonReply(messageSchema(DescribeSnapshotResponseSchema, drawer)),
        ),
        post: {
          ...operation(
            "Answer several queries at one moment",
            [SNAPSHOT, COMPLETENESS, TIMEOUT],
            jsonReply({ type: "object" }),
          ),
          requestBody: { required: true, content: { [JSON_TYPE]: { schema: ANSWER_SET } } },
        },
      },
      "/v1/snapshots": list("List snapshots", messageSchema(ListSnapshotsResponseSchema, drawer)),
      "/v1/mesh": list("Describe the mesh", messageSchema(DescribeMeshResponseSchema, drawer)),
      "/v1/queries": list("List queries under way", messageSchema(ListQueriesResponseSchema, drawer)),
      "/v1/queries/{id}": {
        delete: operation("Cancel a query", [parameter("path", "id", "Its id.", { type: "string" })], {
          "204": { description: "Cancelled" },
        }),
      },
      "/healthz": list("Is the process alive", { type: "object" }),
      "/readyz": list("Is a route table loaded", { type: "object" }),
      "/metrics": {
        get: operation("Prometheus metrics", [], { "200": { description: "Text", content: { "text/plain": {} } } }),
      },
    },
    components: { schemas: Object.fromEntries([...drawer].sort(([a], [b]) => (a < b ? -1 : 1))) },
  };
}

function queryPath(
  service: string,
  method: DescMethod,
  drawer: SchemaDrawer,
  shapes: { readonly completeness: JsonSchema; readonly snapshot: JsonSchema },
): JsonSchema {
  const request = messageSchema(method.input, drawer);
  const answer = messageSchema(method.output, drawer);
  const whole = {
    type: "object",
    properties: { answer, snapshot: shapes.snapshot, completeness: shapes.completeness },
    required: ["answer", "snapshot", "completeness"],
  };
  const streaming = method.methodKind === "server_streaming";
  const reply = streaming
    ? {
        "200": {
          description: 'One object a line; the last is {"$end": …} or {"$error": …}.',
          content: { "application/x-ndjson": { schema: answer } },
        },
      }
    : jsonReply(whole);
  const controls = [SNAPSHOT, COMPLETENESS, TIMEOUT, EXPLAIN];
  const summary = `${service}/${method.name}`;
  const id = summary.replaceAll(/[./]/g, "_");
  const post = {
    ...operation(summary, controls, reply),
    operationId: id,
    requestBody: { content: { [JSON_TYPE]: { schema: request } } },
  };
  if (!isGetAllowed(method)) return { post };
  return { post, get: { ...operation(summary, [...controls, REQUEST], reply), operationId: `get_${id}` } };
}

function operation(summary: string, parameters: readonly JsonSchema[], replies: JsonSchema): JsonSchema {
  const problem = { "application/problem+json": { schema: { $ref: "#/components/schemas/Problem" } } };
  return {
    summary,
    parameters,
    responses: { ...replies, default: { description: "A problem of the catalogue", content: problem } },
  };
}

function jsonReply(schema: JsonSchema): JsonSchema {
  return { "200": { description: "OK", content: { [JSON_TYPE]: { schema } } } };
}

function parameter(where: "path" | "query", name: string, description: string, schema: JsonSchema): JsonSchema {
  return { in: where, name, description, required: where === "path", schema };
}

const PROBLEM: JsonSchema = {
  type: "object",
  properties: {
    type: { type: "string", format: "uri" },
    title: { type: "string" },
    status: { type: "integer" },
    detail: { type: "string" },
    code: { type: "string" },
    retryable: { type: "boolean" },
    queryId: { type: "string" },
    shard: { type: "integer" },
    retryAfterMs: { type: "integer" },
    errors: {
      type: "array",
      items: { type: "object", properties: { pointer: { type: "string" }, detail: { type: "string" } } },
    },
  },
  required: ["type", "title", "status", "detail", "code", "retryable"],
};

const ANSWER_SET: JsonSchema = {
  type: "object",
  properties: {
    queries: {
      type: "object",
      additionalProperties: {
        type: "object",
        properties: { call: { type: "string", examples: ["package.Service/Method"] }, request: { type: "object" } },
        required: ["call"],
        additionalProperties: false,
      },
    },
  },
  required: ["queries"],
  additionalProperties: false,
};
