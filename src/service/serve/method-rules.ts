import { type DescField, type DescMessage, type DescMethod, getOption, ScalarType } from "@bufbuild/protobuf";
import { Fault } from "../../fault/fault.ts";
import {
  merge,
  method as methodOption,
  type OrderBy,
  order_by,
  Role,
  role,
} from "../../wire/generated/skynetes/v1/merge_pb.ts";
import { type CompareValues, type Fields, fieldComparison, fieldReader } from "./field-order.ts";
import { fieldNamed, type GroupOrder, groupOrder } from "./group-order.ts";

/** What a method's annotations ask of a shard; the gateway relies on it, so the kit does it and no author must. */
export interface MethodRules {
  readonly method: DescMethod;
  readonly limit?: DescField;
  readonly offset?: DescField;
  readonly top?: TopRules;
  /** Streaming methods: how rows must follow one another. */
  readonly sorted?: readonly SortRule[];
}

export interface SortRule {
  readonly name: string;
  read(row: Fields): unknown;
  readonly compare: CompareValues;
}

/** The response's groups of which the request's order and limit choose. */
export interface TopRules {
  readonly field: DescField & { readonly message: DescMessage };
  readonly key: readonly SortRule[];
  readonly orderField?: DescField;
  /** By number of the order enum's value; under undefined the order without one. */
  readonly orders: ReadonlyMap<number | undefined, GroupOrder>;
  readonly keyFilter?: DescField;
}

/** Fault `invalid-service`: an annotation that a shard cannot follow. The gateway checks the merge rules themselves. */
export function methodRules(method: DescMethod): MethodRules {
  if (method.methodKind === "client_streaming" || method.methodKind === "bidi_streaming") {
    throw new Fault("invalid-service", `${method.parent.typeName}/${method.name}: requests cannot be streams`);
  }
  const limit = fieldOfRole(method, Role.LIMIT);
  const offset = fieldOfRole(method, Role.OFFSET);
  const top = method.methodKind === "unary" ? topRules(method) : undefined;
  return {
    method,
    ...(limit === undefined ? {} : { limit: wholeNumber(limit) }),
    ...(offset === undefined ? {} : { offset: wholeNumber(offset) }),
    ...(top === undefined ? {} : { top }),
    ...(method.methodKind === "server_streaming" ? { sorted: sortedRules(method) } : {}),
  };
}

function sortedRules(method: DescMethod): readonly SortRule[] {
  return getOption(method, methodOption).sorted.map(({ field, descending }) =>
    sortRule(fieldNamed(method.output, field), descending),
  );
}

function sortRule(field: DescField, descending: boolean): SortRule {
  const ascending = fieldComparison(field);
  return { name: field.name, read: fieldReader(field), compare: descending ? (a, b) => ascending(b, a) : ascending };
}

function topRules(method: DescMethod): TopRules | undefined {
  for (const field of method.output.fields) {
    const { operator } = getOption(field, merge);
    if (operator.case !== "group" || operator.value.top === undefined) continue;
    if (field.fieldKind !== "list" || field.listKind !== "message") {
      throw new Fault("invalid-service", `${method.output.typeName}.${field.name}: groups must be repeated messages`);
    }
    const orderField = fieldOfRole(method, Role.ORDER);
    const keyFilter = fieldOfRole(method, Role.KEY_FILTER);
    return {
      field,
      key: operator.value.key.map((name) => sortRule(fieldNamed(field.message, name), false)),
      orders: groupOrders(method, field.message, orderField, operator.value.top.order),
      ...(orderField === undefined ? {} : { orderField }),
      ...(keyFilter === undefined ? {} : { keyFilter }),
    };
  }
  return undefined;
}

function groupOrders(
  method: DescMethod,
  element: DescMessage,
  orderField: DescField | undefined,
  fallback: OrderBy | undefined,
): ReadonlyMap<number | undefined, GroupOrder> {
  const orders = new Map<number | undefined, GroupOrder>();
  if (fallback !== undefined) orders.set(undefined, groupOrder(element, fallback.field, !fallback.ascending));
  if (orderField !== undefined) {
    if (orderField.fieldKind !== "enum") {
      throw new Fault("invalid-service", `${method.input.typeName}.${orderField.name}: an order must be an enum`);
    }
    for (const value of orderField.enum.values) {
      const { field, ascending } = getOption(value, order_by);
      if (field !== "") orders.set(value.number, groupOrder(element, field, !ascending));
    }
  }
  if (orders.size === 0) {
    throw new Fault(
      "invalid-service",
      `${method.parent.typeName}/${method.name}: nothing says what its top is ordered by`,
    );
  }
  return orders;
}

function fieldOfRole(method: DescMethod, wanted: Role): DescField | undefined {
  return method.input.fields.find((field) => getOption(field, role) === wanted);
}

function wholeNumber(field: DescField): DescField {
  const allowed = [ScalarType.INT32, ScalarType.UINT32, ScalarType.INT64, ScalarType.UINT64];
  if (field.fieldKind === "scalar" && allowed.includes(field.scalar)) return field;
  throw new Fault(
    "invalid-service",
    `${field.parent.typeName}.${field.name}: a limit or offset must be a whole number`,
  );
}

/** How many rows or groups a request wants at most: limit + offset; Infinity without a limit. */
export function rowsWanted(rules: MethodRules, request: Fields): number {
  const limit = wholeValue(rules.limit, request);
  const offset = wholeValue(rules.offset, request);
  return limit === 0 ? Number.POSITIVE_INFINITY : limit + offset;
}

function wholeValue(field: DescField | undefined, request: Fields): number {
  if (field === undefined) return 0;
  const value = Number(fieldReader(field)(request) ?? 0);
  if (value >= 0) return value;
  const message = `${field.name} is ${value}, must not be negative`;
  throw new Fault("invalid-request", message, { errors: [{ pointer: `/${field.jsonName}`, detail: message }] });
}
