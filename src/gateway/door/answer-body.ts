import type { JsonValue } from "@bufbuild/protobuf";
import type { Clock } from "../../process/clock.ts";
import { inSlices } from "../../process/turn.ts";
import type { Answer } from "../query/answer.ts";
import type { PreparedQuery } from "../query/prepared-query.ts";
import { answerJson } from "../reply/answer-json.ts";

const LINE_END = Buffer.from("\n");

/**
 * An answer as one line of JSON, its end included. It is written once for all who are given the same answer; one with a
 * profile is nobody else's.
 */
export async function answerBody(
  query: PreparedQuery,
  answer: Answer,
  clock: Clock,
  profile: { readonly profile?: JsonValue } = {},
): Promise<Buffer> {
  if (answer.body !== undefined) return answer.body;
  const { plan, version, snapshot } = query.resolved;
  const { pieces, completeness, signal } = answer;
  const named = { id: snapshot.id, version: version.name };
  const parts = {
    desc: plan.method.output,
    registry: version.registry,
    pieces,
    snapshot: named,
    completeness,
    ...profile,
  };
  const body = Buffer.concat([...(await inSlices(answerJson(parts), clock, signal)), LINE_END]);
  answer.keepBody(body);
  return body;
}
