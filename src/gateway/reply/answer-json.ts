import { type DescMessage, type JsonValue, type Message, type Registry, toJson } from "@bufbuild/protobuf";
import type { Slices } from "../../accumulator/sliced-sort.ts";
import { type Completeness, CompletenessSchema } from "../../wire/generated/skynetes/v1/stamp_pb.ts";
import { JsonFromWire } from "./json-from-wire.ts";

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

export interface AnswerParts {
  readonly desc: DescMessage;
  readonly registry: Registry;
  /** The message in protobuf's wire format. */
  readonly pieces: readonly Uint8Array[];
  readonly snapshot: { readonly id: string; readonly version: string };
  readonly completeness: Completeness;
  /** Where it was asked for by `explain=profile`. */
  readonly profile?: JsonValue;
}

/** A registry's messages are compiled once. */
const writers = new WeakMap<Registry, JsonFromWire>();

/** `{"answer": …, "snapshot": …, "completeness": …}` in pieces, some elements at a time. */
export function* answerJson({ desc, registry, pieces, ...parts }: AnswerParts): Slices<Buffer[]> {
  const writer = writers.get(registry) ?? new JsonFromWire(registry);
  writers.set(registry, writer);
  const answer = yield* writer.write(desc, pieces);
  const snapshot = JSON.stringify(parts.snapshot);
  const completeness = JSON.stringify(completenessJson(parts.completeness));
  const profile = parts.profile === undefined ? "" : `,"profile":${JSON.stringify(parts.profile)}`;
  const rest = `,"snapshot":${snapshot},"completeness":${completeness}${profile}}`;
  return [Buffer.from('{"answer":'), ...answer, Buffer.from(rest)];
}
