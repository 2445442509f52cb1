/**
 * Reading and rewriting the parts of a request that the gateway answers for itself: LIMIT, OFFSET, ORDER, KEY_FILTER.
 *
 * A shard honours `limit: 12, offset: 24` and would leave out what another shard's rows make necessary. So a shard is
 * asked for its first 36 from offset 0, and the gateway cuts the window out of what it merged. Used when a request is
 * planned and again for each round of a merge.
 */
import { clone, type DescField, type Message } from "@bufbuild/protobuf";
import type { Window } from "../accumulator/sorted.ts";
import { Fault } from "../fault/fault.ts";
import { fieldReader, fieldWriter } from "../wire/message-field.ts";
import { valueTypeOf } from "../wire/value-type.ts";
import type { GroupOrder, MethodPlan, TopRecipe } from "./plan/query-plan.ts";

/** What of the merged rows or groups is wanted. Faults: `invalid-request` for a negative limit or offset. */
export function requestWindow({ roles }: MethodPlan, request: Message): Window {
  const limit = readCount(roles.limit, request);
  const offset = readCount(roles.offset, request) ?? 0;
  return { offset, limit: limit === 0 ? undefined : limit };
}

function readCount(field: DescField | undefined, request: Message): number | undefined {
  const value = field === undefined ? undefined : (fieldReader(field)(request) as bigint | number | undefined);
  if (field === undefined || value === undefined) return undefined;
  if (value < 0) throw invalid(field, `${field.name} is ${value}, and must not be negative`);
  // Nobody holds 2^53 rows: beyond, the number is only "more than there are".
  return value > Number.MAX_SAFE_INTEGER ? Number.MAX_SAFE_INTEGER : Number(value);
}

/** The order that the request asks for. Faults: `invalid-request` for a number that the enum does not have. */
export function requestOrder({ roles, method }: MethodPlan, top: TopRecipe, request: Message): GroupOrder {
  const field = roles.order?.field;
  const choice = field === undefined ? undefined : (fieldReader(field)(request) as number | undefined);
  const order = top.orders.get(choice ?? (field === undefined ? undefined : 0)) ?? top.orders.get(undefined);
  const isKnown = choice === undefined || top.orders.has(choice);
  if (order === undefined || !isKnown) {
    throw invalid(field!, `${field!.name} is ${choice}, which ${method.input.typeName} does not define`);
  }
  return order;
}

/** Keys that the client itself asks for; empty is all. */
export function requestedKeys({ roles }: MethodPlan, request: Message): readonly unknown[] {
  return roles.keyFilter === undefined ? [] : (fieldReader(roles.keyFilter)(request) as readonly unknown[]);
}

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

/** How many rows a shard must send so that none of the window is missing. */
export function rowsForWindow({ offset, limit }: Window): number | undefined {
  return limit === undefined ? undefined : offset + limit;
}

/** A limit that its type cannot hold is no limit. */
function fittingLimit(field: DescField, limit: number | undefined): bigint {
  const type = valueTypeOf(field);
  const fits =
    type.kind === "integer" && limit !== undefined && limit <= Number(type.max) && Number.isSafeInteger(limit);
  return fits ? BigInt(limit) : 0n;
}

function invalid(field: DescField, detail: string): Fault {
  return new Fault("invalid-request", `read the request: ${detail}`, {
    errors: [{ pointer: `/${field.jsonName}`, detail }],
  });
}
