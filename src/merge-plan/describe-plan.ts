/** A plan as people read it; also what its digest is taken over, so everything that changes an answer must show. */
import type { DescField, DescMessage } from "@bufbuild/protobuf";
import { hasPresence } from "../wire/message-field.ts";
import { valueTypeOf } from "../wire/value-type.ts";
import type { FieldRecipe, MessageRecipe, MethodPlan, RequestRoles, SortColumn, TopRecipe } from "./method-plan.ts";

export function describePlan(plan: MethodPlan): string {
  const { method, merge } = plan;
  const lines = [`${method.parent.typeName}/${method.name}(${method.input.typeName})`, ...describeRoles(plan.roles)];
  for (const filter of plan.filters) {
    lines.push(`  prune where ${filter.table}.${filter.column} is ${filter.operator} ${describeField(filter.field)}`);
  }
  if (!plan.deterministic) lines.push("  nondeterministic: no cache, no entity tag");
  if (plan.snapshotDependent) lines.push("  depends on the snapshot, not on its content alone");
  if (merge.kind === "sorted") {
    lines.push(`  merge the rows of ${merge.row.typeName} by ${describeColumns(merge.by)}`);
    lines.push(...describeShape(merge.row, "    "));
  } else {
    lines.push(`  merge ${merge.recipe.message.typeName}`, ...describeRecipe(merge.recipe, "    "));
    if (merge.top !== undefined) lines.push(...describeTop(merge.top));
  }
  return `${lines.join("\n")}\n`;
}

function describeRoles(roles: RequestRoles): string[] {
  const lines: string[] = [];
  if (roles.limit) lines.push(`  limit from ${describeField(roles.limit)}`);
  if (roles.offset) lines.push(`  offset from ${describeField(roles.offset)}`);
  if (roles.order) lines.push(`  order from ${describeField(roles.order.field)}`);
  if (roles.keyFilter) lines.push(`  keys from ${describeField(roles.keyFilter)}`);
  return lines;
}

function describeRecipe({ fields }: MessageRecipe, indent: string): string[] {
  return fields.flatMap((recipe) => {
    const head = `${indent}${describeField(recipe.field)} = ${describeOperator(recipe)}`;
    if (recipe.kind === "group") return [head, ...describeRecipe(recipe.element, `${indent}  `)];
    if (recipe.kind === "nested") return [head, ...describeRecipe(recipe.recipe, `${indent}  `)];
    const type = valueTypeOf(recipe.field);
    return type.kind === "message" ? [head, ...describeShape(type.message, `${indent}  `)] : [head];
  });
}

function describeOperator(recipe: FieldRecipe): string {
  switch (recipe.kind) {
    case "avg":
      return `avg of ${recipe.sum.name} over ${recipe.count.name}`;
    case "count-of":
      return `count of ${recipe.of.name}`;
    case "sorted":
      return `sorted by ${describeColumns(recipe.by)}, limited`;
    case "group":
      return `${recipe.isTop ? "top groups" : "groups"} by ${recipe.key.map((key) => key.name).join(", ")}`;
    default:
      return recipe.kind;
  }
}

/** Fields that carry no rules, of rows and of elements that are taken whole. */
function describeShape(message: DescMessage, indent: string): string[] {
  return message.fields.map((field) => `${indent}${describeField(field)}`);
}

function describeTop(top: TopRecipe): string[] {
  return [...top.orders].map(([choice, order]) => {
    const when = choice === undefined ? "by default" : `for order ${choice}`;
    const direction = order.descending ? "greatest" : "least";
    return `  top of ${top.field.name} ${when}: ${direction} ${order.field.name} first, then ${top.key.map((k) => k.name).join(", ")}`;
  });
}

function describeColumns(columns: readonly SortColumn[]): string {
  return columns.map(({ field, descending }) => (descending ? `${field.name} descending` : field.name)).join(", ");
}

function describeField(field: DescField): string {
  const repeated = field.fieldKind === "list" ? "repeated " : hasPresence(field) ? "optional " : "";
  return `${field.name} (${field.number}: ${repeated}${valueTypeOf(field).name})`;
}
