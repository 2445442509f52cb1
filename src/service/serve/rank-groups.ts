import { create, type DescField, type Message } from "@bufbuild/protobuf";
import { SLICE, type Slices, slicedFirst } from "../../accumulator/sliced-sort.ts";
import { absentLast, byParts, type Order } from "../../accumulator/value-order.ts";
import type { MethodPlan, TopRecipe } from "../../merge-plan/method-plan.ts";
import { requestedKeys, requestOrder } from "../../merge-plan/request-window.ts";
import { valueOrder } from "../../merge-plan/row-order.ts";
import { valueIdentity } from "../../merge-plan/value-identity.ts";
import { type TopBounds, TopBoundsSchema } from "../../wire/generated/skynetes/v1/stamp_pb.ts";
import { valueTypeOf } from "../../wire/value-type.ts";
import { type Fields, partFieldReader } from "./part-field.ts";
import { type PartRank, type PartValue, partRank } from "./part-rank.ts";

export interface RankedGroups {
  readonly groups: readonly Fields[];
  /** What is known of the groups not sent; absent when the request chose groups by key, and when there are none. */
  readonly bounds?: TopBounds;
}

interface Ranked {
  readonly group: Fields;
  readonly value: PartValue | undefined;
}

/**
 * The first `wanted` of a shard's groups in the order that the request asks for, ties by key ascending, and the bounds
 * that let the gateway prove its global list exact.
 *
 *     groups BOS 7, JFK 9, LAX 7, SFO 2, two wanted by flights descending
 *     → JFK 9, BOS 7; kth 7, last 2, not exhausted, 4 groups: no unseen group has more than 7 flights here
 *
 * Faults: `invalid-request` for an order that does not exist, `bad-partial` for a group that says what cannot be.
 */
export function* rankGroups(
  plan: MethodPlan,
  top: TopRecipe,
  request: Message,
  given: Iterable<Fields>,
  wanted: number,
): Slices<RankedGroups> {
  const rank = partRank(top.element, requestOrder(plan, top, request));
  const isAskedFor = keyFilter(plan, top, request);
  const ranked: Ranked[] = [];
  let last: PartValue | undefined;
  let isBounded = true;
  let read = 0;
  for (const group of given) {
    if (++read % SLICE === 0) yield;
    if (isAskedFor !== undefined && !isAskedFor(group)) continue;
    const value = rank.valueOf(group);
    // A bound that is NaN bounds nothing; nor does any bound a mean whose other parts are not means.
    if (Number.isNaN(value) || rank.isOutsideBounds(group)) isBounded = false;
    else if (value !== undefined && (last === undefined || rank.order(value, last) > 0)) last = value;
    ranked.push({ group, value });
  }
  const byKey = keyOrder(top.key);
  const order: Order<Ranked> = (a, b) => rank.order(a.value, b.value) || byKey(a.group, b.group);
  const first = yield* slicedFirst(ranked, wanted, order);
  const groups = first.map(({ group }) => group);
  // The gateway asks for all groups where there are no bounds.
  if (isAskedFor !== undefined || !isBounded) return { groups };
  return { groups, bounds: boundsOf(rank, first, last, ranked.length) };
}

/** Undefined when the request does not choose groups by key. */
function keyFilter(plan: MethodPlan, top: TopRecipe, request: Message): ((group: Fields) => boolean) | undefined {
  const keys = requestedKeys(plan, request);
  const [key] = top.key;
  if (keys.length === 0 || key === undefined) return undefined;
  const identity = valueIdentity(valueTypeOf(key));
  const asked = new Set(keys.map(identity));
  const read = partFieldReader(key);
  return (group) => asked.has(identity(read(group)));
}

function keyOrder(key: readonly DescField[]): Order<Fields> {
  return byParts(
    key.map((field) => ({
      read: partFieldReader(field),
      order: absentLast(valueOrder(valueTypeOf(field)), false),
    })),
  );
}

function boundsOf(rank: PartRank, first: readonly Ranked[], last: PartValue | undefined, groups: number): TopBounds {
  const kth = first.at(-1)?.value;
  return create(TopBoundsSchema, {
    field: rank.field,
    exhausted: first.length === groups,
    groups: BigInt(groups),
    ...(kth === undefined ? {} : { kth: rank.scalarOf(kth) }),
    ...(last === undefined ? {} : { last: rank.scalarOf(last) }),
  });
}
