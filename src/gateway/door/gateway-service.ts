import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Metadata, Server } from "@grpc/grpc-js";
import { AT_LEAST_HEADER } from "../../mesh/route-headers.ts";
import {
  ExplainMode,
  type ExplainResponseSchema,
  GatewayService,
} from "../../wire/generated/skynetes/v1/gateway_pb.ts";
import { addUnaryService } from "../../wire/grpc-service.ts";
import type { Gateway } from "../gateway.ts";
import { STRICT } from "../receive/completeness-wish.ts";
import type { QueryIntent } from "../receive/query-intent.ts";
import { parseAtLeast, parseServiceName } from "../receive/request-controls.ts";
import { describeMesh, describeSnapshot, listSnapshots } from "../resolve/describe-mesh.ts";
import type { WholeGateway } from "../whole-gateway.ts";

/** The same facts as the HTTP lists, for gRPC clients. */
export function addGatewayService(server: Server, gateway: Gateway, whole: WholeGateway): void {
  const atLeastOf = (metadata: Metadata) => parseAtLeast(metadata.get(AT_LEAST_HEADER)[0]?.toString());
  const state = (metadata: Metadata) => gateway.pinState(atLeastOf(metadata));
  addUnaryService(server, GatewayService, {
    describeMesh: (_request, { metadata }) => describeMesh(state(metadata)),
    listSnapshots: (_request, { metadata }) => listSnapshots(state(metadata)),
    describeSnapshot: ({ snapshot }, { metadata }) => describeSnapshot(state(metadata), snapshot),
    explain: async (request, { signal, metadata }) => {
      const target = { snapshot: request.snapshot, ...parseServiceName(request.service), method: request.method };
      const body = { kind: "binary" as const, bytes: request.request };
      const intent = { target, body, quality: STRICT, atLeast: atLeastOf(metadata), signal };
      if (request.mode === ExplainMode.PROFILE) return profile(gateway, { ...intent, wantsProfile: true });
      const explanation = gateway.explain(gateway.prepare(intent));
      return { text: explanation.text, json: JSON.stringify(explanation) };
    },
    listQueries: async () => ({ queries: [...(await whole.queries())] }),
    cancelQuery: async ({ id }) => {
      await whole.cancel(id);
      return {};
    },
  });
}

/** Answers the query and tells how. The rows of a stream are read and left. */
async function profile(gateway: Gateway, intent: QueryIntent): Promise<MessageInitShape<typeof ExplainResponseSchema>> {
  const query = gateway.prepare(intent);
  const { plan } = query.resolved;
  const described = () => {
    const json = gateway.profile(query);
    return { text: json?.text ?? "", json: JSON.stringify(json) };
  };
  if (plan.merge.kind === "sorted") {
    const stream = await gateway.stream(query);
    try {
      for await (const _row of stream.messages);
      return { ...described(), completeness: stream.completeness() };
    } finally {
      stream.close();
    }
  }
  const { pieces, completeness, close } = await gateway.answer(query);
  try {
    return { ...described(), answer: Buffer.concat(pieces), completeness };
  } finally {
    close();
  }
}
