/** What a request asks for in the fields that have roles: LIMIT, OFFSET, ORDER, KEY_FILTER. */
import type { DescField, Message } from "@bufbuild/protobuf";
import type { Window } from "../accumulator/sorted.ts";
import { Fault } from "../fault/fault.ts";
import { fieldReader } from "../wire/message-field.ts";
import type { GroupOrder, MethodPlan, TopRecipe } from "./method-plan.ts";

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

/** How many rows a shard must send so that none of the window is missing. */
export function rowsForWindow({ offset, limit }: Window): number | undefined {
  return limit === undefined ? undefined : offset + limit;
}

function invalid(field: DescField, detail: string): Fault {
  return new Fault("invalid-request", `read the request: ${detail}`, {
    errors: [{ pointer: `/${field.jsonName}`, detail }],
  });
}
