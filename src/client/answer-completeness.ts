import { fromJson, type JsonValue } from "@bufbuild/protobuf";
import { type Completeness, CompletenessSchema } from "../wire/generated/skynetes/v1/stamp_pb.ts";
import { QueryError } from "./query-error.ts";

export type { Completeness };

/** Shards and rows expected against those that answered. */
export function completenessOf(json: unknown, attempted: string): Completeness {
  try {
    return fromJson(CompletenessSchema, json as JsonValue, { ignoreUnknownFields: true });
  } catch (error) {
    throw new QueryError("broken-answer", `${attempted}: the answer does not say how complete it is`, undefined, error);
  }
}
