import { getOption, hasOption } from "@bufbuild/protobuf";
import { merge, type OrderBy, order_by } from "../wire/generated/skynetes/v1/merge_pb.ts";
import { hasPresence } from "../wire/message-field.ts";
import { valueTypeOf } from "../wire/value-type.ts";
import type { FieldRecipe, GroupOrder, MessageRecipe, RequestRoles, TopRecipe } from "./method-plan.ts";
import type { ServiceErrors } from "./service-errors.ts";

type GroupRecipe = Extract<FieldRecipe, { kind: "group" }>;

/** The one group of a response whose elements the request's order, limit and offset choose among. */
export function compileTop(recipe: MessageRecipe, roles: RequestRoles, errors: ServiceErrors): TopRecipe | undefined {
  const [group, second] = recipe.fields.filter((field) => field.kind === "group").filter((field) => field.isTop);
  if (group === undefined) return undefined;
  if (second !== undefined) {
    errors.add(second.field.toString(), `top is on field ${group.field.name} already; one order chooses one list`);
  }
  checkKeyFilter(group, roles, errors);
  const orders = compileOrders(group, roles, errors);
  return { field: group.field, key: group.key, element: group.element, orders };
}

function checkKeyFilter(group: GroupRecipe, roles: RequestRoles, errors: ServiceErrors): void {
  const filter = roles.keyFilter;
  if (filter === undefined) return;
  const [key] = group.key;
  if (key === undefined || group.key.length > 1) {
    errors.add(
      filter.toString(),
      `its role needs a group with one key, and ${group.field.name} has ${group.key.length}`,
    );
  } else if (valueTypeOf(filter).name !== valueTypeOf(key).name) {
    errors.add(filter.toString(), `its role needs the type of the key ${key.name}: ${valueTypeOf(key).name}`);
  } else if (hasPresence(key)) {
    errors.add(filter.toString(), `a filter cannot ask for groups whose optional key ${key.name} is absent`);
  }
}

function compileOrders(group: GroupRecipe, roles: RequestRoles, errors: ServiceErrors): TopRecipe["orders"] {
  const orders = new Map<number | undefined, GroupOrder>();
  const { operator } = getOption(group.field, merge);
  const top = operator.case === "group" ? operator.value.top : undefined;
  const fallback = top?.order && compileOrder(group, top.order, group.field.toString(), errors);
  if (fallback !== undefined) orders.set(undefined, fallback);
  if (roles.order === undefined) {
    if (top?.order === undefined)
      errors.add(group.field.toString(), "top needs an order, here or by a ROLE_ORDER field");
    return orders;
  }
  for (const choice of roles.order.choices.values) {
    const rule = hasOption(choice, order_by) ? getOption(choice, order_by) : undefined;
    const order = rule === undefined ? undefined : compileOrder(group, rule, choice.toString(), errors);
    // The zero value is what a request says that says nothing.
    if (order !== undefined) orders.set(choice.number, order);
    else if (rule === undefined && choice.number === 0 && fallback !== undefined) orders.set(0, fallback);
    else if (rule === undefined) errors.add(choice.toString(), "no order_by");
  }
  return orders;
}

const RANKING: ReadonlySet<FieldRecipe["kind"]> = new Set(["sum", "avg", "min", "max"]);

function compileOrder(group: GroupRecipe, rule: OrderBy, where: string, errors: ServiceErrors): GroupOrder | undefined {
  const recipe = group.element.fields.find((one) => one.field.name === rule.field);
  if (recipe === undefined) {
    return errors.add(
      where,
      `orders by "${rule.field}", which is no merged field of ${group.element.message.typeName}`,
    );
  }
  const { kind } = valueTypeOf(recipe.field);
  const isNumber = kind === "integer" || kind === "real" || kind === "decimal";
  if (!RANKING.has(recipe.kind) || !isNumber) {
    return errors.add(where, `orders by "${rule.field}", which is not a number with a sum, avg, min or max rule`);
  }
  return { field: recipe.field, descending: !rule.ascending };
}
