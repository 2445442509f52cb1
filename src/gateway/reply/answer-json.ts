import { type DescMessage, type JsonValue, type Message, type Registry, toJson } from "@bufbuild/protobuf";
import { type Completeness, CompletenessSchema } from "../../wire/generated/skynetes/v1/stamp_pb.ts";

/**
 * Messages as protobuf JSON: 64-bit integers are strings, implicit fields are always there, optional ones only when
 * set. Field order is the descriptor's, so that equal answers are equal bytes.
 */
export function messageJson(
  desc: DescMessage,
  message: Message,
  registry: Registry,
  fields: "all" | "given" = "all",
): JsonValue {
  return toJson(desc, message, { alwaysEmitImplicit: fields === "all", registry });
}

export function completenessJson(completeness: Completeness): JsonValue {
  return toJson(CompletenessSchema, completeness, { alwaysEmitImplicit: true });
}

export interface AnswerJson {
  readonly answer: JsonValue;
  readonly snapshot: { readonly id: string; readonly version: string };
  readonly completeness: JsonValue;
}
