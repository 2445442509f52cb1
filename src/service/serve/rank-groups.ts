import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { Fault } from "../../fault/fault.ts";
import { type TopBounds, TopBoundsSchema } from "../../wire/generated/skynetes/v1/stamp_pb.ts";
import { nextTurn } from "../sliced.ts";
import type { Fields } from "./field-order.ts";
import type { GroupOrder } from "./group-order.ts";
import type { TopRules } from "./method-rules.ts";
import { firstInOrder } from "./sort-in-slices.ts";

export interface RankedGroups {
  readonly groups: readonly Fields[];
  /** What is known of the groups not sent; absent when the request chose groups by key. */
  readonly bounds?: TopBounds;
}

interface Ranked {
  readonly group: Fields;
  readonly value: unknown;
}

const READ_PER_SLICE = 4096;

/**
 * The first `wanted` of a shard's groups in the order that the request asks for, ties by key ascending, and the bounds
 * that let the gateway prove its global list exact.
 *
 *     groups BOS 7, JFK 9, LAX 7, SFO 2, two wanted by flights descending
 *     → JFK 9, BOS 7; kth 7, last 2, not exhausted, 4 groups: no unseen group has more than 7 flights here
 */
export async function rankGroups(
  rules: TopRules,
  request: Fields,
  given: Iterable<Fields>,
  wanted: number,
  signal: AbortSignal,
): Promise<RankedGroups> {
  const order = orderOf(rules, request);
  const only = keysAskedFor(rules, request);
  const ranked: Ranked[] = [];
  let bounds: Extremes = { finite: true };
  let read = 0;
  for (const group of given) {
    if (++read % READ_PER_SLICE === 0) await nextTurn(signal);
    if (only !== undefined && !only.has(keyText(rules.key[0]?.read(group)))) continue;
    const value = order.read(group);
    bounds = widened(bounds, order, value);
    ranked.push({ group, value });
  }
  const first = await firstInOrder(ranked, wanted, (a, b) => compareGroups(rules, order, a, b), signal);
  const groups = first.map(({ group }) => group);
  // NaN has no place in an order, so no bound can be given; the gateway then asks for all groups.
  if (only !== undefined || !bounds.finite) return { groups };
  return { groups, bounds: boundsOf(order, first, bounds.last, ranked.length) };
}

function orderOf(rules: TopRules, request: Fields): GroupOrder {
  const asked = rules.orderField === undefined ? undefined : request[rules.orderField.localName];
  const order = rules.orders.get(asked as number | undefined) ?? rules.orders.get(undefined);
  if (order !== undefined) return order;
  const field = rules.orderField;
  const message = `${field?.name ?? "order"} is ${asked ?? "not set"}, which is no order`;
  throw new Fault("invalid-request", message, { errors: [{ pointer: `/${field?.jsonName ?? ""}`, detail: message }] });
}

function keysAskedFor(rules: TopRules, request: Fields): ReadonlySet<unknown> | undefined {
  if (rules.keyFilter === undefined) return undefined;
  const keys = request[rules.keyFilter.localName] as readonly unknown[] | undefined;
  return keys === undefined || keys.length === 0 ? undefined : new Set(keys.map(keyText));
}

/** Bytes are equal by content, which a set does not see. */
function keyText(key: unknown): unknown {
  return key instanceof Uint8Array ? Buffer.from(key).toString("latin1") : key;
}

function compareGroups(rules: TopRules, order: GroupOrder, a: Ranked, b: Ranked): number {
  if (a.value === undefined || b.value === undefined) {
    const absence = Number(a.value === undefined) - Number(b.value === undefined);
    if (absence !== 0) return absence;
  } else {
    const value = order.compare(a.value, b.value);
    if (value !== 0) return order.descending ? -value : value;
  }
  for (const { read, compare } of rules.key) {
    const key = compare(read(a.group), read(b.group));
    if (key !== 0) return key;
  }
  return 0;
}

interface Extremes {
  /** No value was NaN. */
  readonly finite: boolean;
  /** The value at the far end of the order so far. */
  readonly last?: unknown;
}

function widened(bounds: Extremes, order: GroupOrder, value: unknown): Extremes {
  if (value === undefined) return bounds;
  if (Number.isNaN(value)) return { finite: false };
  if (bounds.last === undefined) return { ...bounds, last: value };
  const further = order.compare(value, bounds.last) < 0 === order.descending;
  return further ? { ...bounds, last: value } : bounds;
}

function boundsOf(order: GroupOrder, first: readonly Ranked[], last: unknown, groups: number): TopBounds {
  const kth = first.at(-1)?.value;
  const bounds: MessageInitShape<typeof TopBoundsSchema> = {
    field: order.field,
    exhausted: first.length === groups,
    groups: BigInt(groups),
    ...(kth === undefined ? {} : { kth: order.scalar(kth) }),
    ...(last === undefined ? {} : { last: order.scalar(last) }),
  };
  return create(TopBoundsSchema, bounds);
}
