/**
 * A shard honours `limit: 12, offset: 24` and would leave out what another shard's rows make necessary. So a shard is
 * asked for its first 36 from offset 0, and the gateway cuts the window out of what it merged. Used when a request is
 * planned and again for each round of a merge.
 */
import type { DescField, Message } from "@bufbuild/protobuf";
import type { MethodPlan } from "../../merge-plan/method-plan.ts";
import { type FieldWriter, fieldWriter } from "../../wire/message-field.ts";
import { valueTypeOf } from "../../wire/value-type.ts";

export interface Rewriting {
  /** Rows or groups that a shard should send at most; undefined is all. */
  readonly limit: number | undefined;
  readonly keys?: readonly unknown[];
}

/** The request as a shard gets it. The original stays as it is. */
export function rewriteRequest({ roles }: MethodPlan, request: Message, { limit, keys }: Rewriting): Message {
  // What is written anew are fields of the message itself; what the others hold is shared, and only read.
  const rewritten: Message = Object.assign(Object.create(Object.getPrototypeOf(request)), request);
  if (roles.limit !== undefined) writerOf(roles.limit)(rewritten, fittingLimit(roles.limit, limit));
  if (roles.offset !== undefined) writerOf(roles.offset)(rewritten, 0n);
  if (roles.keyFilter !== undefined && keys !== undefined) writerOf(roles.keyFilter)(rewritten, [...keys]);
  return rewritten;
}

const writers = new WeakMap<DescField, FieldWriter>();

function writerOf(field: DescField): FieldWriter {
  const known = writers.get(field) ?? fieldWriter(field);
  writers.set(field, known);
  return known;
}

/** A limit that its type cannot hold is no limit. */
function fittingLimit(field: DescField, limit: number | undefined): bigint {
  const type = valueTypeOf(field);
  const fits =
    type.kind === "integer" && limit !== undefined && limit <= Number(type.max) && Number.isSafeInteger(limit);
  return fits ? BigInt(limit) : 0n;
}
