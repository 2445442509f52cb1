/**
 * A shard honours `limit: 12, offset: 24` and would leave out what another shard's rows make necessary. So a shard is
 * asked for its first 36 from offset 0, and the gateway cuts the window out of what it merged. Used when a request is
 * planned and again for each round of a merge.
 */
import { clone, type DescField, type Message } from "@bufbuild/protobuf";
import type { MethodPlan } from "../../merge-plan/method-plan.ts";
import { fieldWriter } from "../../wire/message-field.ts";
import { valueTypeOf } from "../../wire/value-type.ts";

export interface Rewriting {
  /** Rows or groups that a shard should send at most; undefined is all. */
  readonly limit: number | undefined;
  readonly keys?: readonly unknown[];
}

/** The request as a shard gets it. The original stays as it is. */
export function rewriteRequest({ roles, method }: MethodPlan, request: Message, { limit, keys }: Rewriting): Message {
  const rewritten = clone(method.input, request);
  if (roles.limit !== undefined) fieldWriter(roles.limit)(rewritten, fittingLimit(roles.limit, limit));
  if (roles.offset !== undefined) fieldWriter(roles.offset)(rewritten, 0n);
  if (roles.keyFilter !== undefined && keys !== undefined) fieldWriter(roles.keyFilter)(rewritten, [...keys]);
  return rewritten;
}

/** A limit that its type cannot hold is no limit. */
function fittingLimit(field: DescField, limit: number | undefined): bigint {
  const type = valueTypeOf(field);
  const fits =
    type.kind === "integer" && limit !== undefined && limit <= Number(type.max) && Number.isSafeInteger(limit);
  return fits ? BigInt(limit) : 0n;
}
