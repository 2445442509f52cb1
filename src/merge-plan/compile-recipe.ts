import { type DescField, type DescMessage, getOption, hasOption } from "@bufbuild/protobuf";
import { type MergeRule, merge, role } from "../wire/generated/skynetes/v1/merge_pb.ts";
import { hasPresence } from "../wire/message-field.ts";
import { type ValueType, valueTypeOf } from "../wire/value-type.ts";
import { compileSortColumns } from "./compile-sort-columns.ts";
import { groupKeyProblem, isComparable } from "./field-rules.ts";
import type { FieldRecipe, MessageRecipe } from "./method-plan.ts";
import type { ServiceErrors } from "./service-errors.ts";

type Operator = NonNullable<MergeRule["operator"]["case"]>;

/** Where a message stands: what limits and top groups mean deeper down is not said, so they are not allowed there. */
interface Place {
  readonly isRoot: boolean;
  readonly key: readonly DescField[];
  /** Messages around this one, for recursion. */
  readonly around: readonly DescMessage[];
}

/** One recipe for every field of the response. */
export function compileRecipe(message: DescMessage, errors: ServiceErrors): MessageRecipe {
  return compileMessage(message, { isRoot: true, key: [], around: [] }, errors);
}

function compileMessage(message: DescMessage, place: Place, errors: ServiceErrors): MessageRecipe {
  const fields: FieldRecipe[] = [];
  for (const field of message.fields) {
    const recipe = compileField(field, place, errors);
    if (recipe !== undefined) fields.push(recipe);
  }
  return { message, fields };
}

function compileField(field: DescField, place: Place, errors: ServiceErrors): FieldRecipe | undefined {
  const wrong = (detail: string) => errors.add(field.toString(), detail);
  if (hasOption(field, role)) wrong("a role is for fields of requests");
  if (field.oneof !== undefined) return wrong("a member of a oneof cannot be merged");
  const isKey = place.key.includes(field);
  if (!hasOption(field, merge)) return isKey ? { kind: "key", field } : wrong("no merge rule");
  if (isKey) return wrong("it is a key of its group and must have no merge rule");
  const { operator } = getOption(field, merge);
  if (operator.case === undefined) return wrong("its merge rule names no operator that this gateway knows");
  const expected = wrongType(field, operator.case, valueTypeOf(field));
  if (expected !== undefined) return wrong(`${ruleName(operator.case)} needs ${expected}`);
  switch (operator.case) {
    case "sum":
    case "min":
    case "max":
    case "any":
    case "all":
    case "first":
    case "concat":
    case "distinct":
      return { kind: operator.case, field };
    case "bitOr":
      return { kind: "bit-or", field };
    case "avg": {
      const sum = summedSibling(field, operator.value.sum, "sum", errors);
      const count = summedSibling(field, operator.value.count, "count", errors);
      return sum && count && { kind: "avg", field, sum, count };
    }
    case "countOf": {
      const of = field.parent.fields.find((one) => one.name === operator.value.field);
      if (of?.fieldKind !== "list" || !hasOption(of, merge)) {
        return wrong(`count_of needs the name of a merged repeated field, not "${operator.value.field}"`);
      }
      return { kind: "count-of", field, of };
    }
    case "sorted": {
      if (operator.value.by.length === 0) wrong("sorted needs the fields to sort by");
      if (!place.isRoot) wrong("sorted is for fields of the response itself");
      const by = compileSortColumns(field.message!, operator.value.by, field.toString(), errors);
      return { kind: "sorted", field, by };
    }
    case "group": {
      if (operator.value.top !== undefined && !place.isRoot) wrong("top is for fields of the response itself");
      const key = compileKey(field, operator.value.key, errors);
      const element = compileInside(field, key, place, errors);
      return element && { kind: "group", field, key, element, isTop: operator.value.top !== undefined };
    }
    case "nested": {
      const recipe = compileInside(field, [], place, errors);
      return recipe && { kind: "nested", field, recipe };
    }
    default:
      operator satisfies never;
      return undefined;
  }
}

function compileInside(field: DescField, key: readonly DescField[], place: Place, errors: ServiceErrors) {
  const message = field.message!;
  const around = [...place.around, field.parent];
  if (around.includes(message)) return errors.add(field.toString(), `${message.typeName} contains itself`);
  return compileMessage(message, { isRoot: false, key, around }, errors);
}

function compileKey(field: DescField, names: readonly string[], errors: ServiceErrors): readonly DescField[] {
  const key: DescField[] = [];
  if (names.length === 0) errors.add(field.toString(), "group needs the fields of its key");
  for (const name of names) {
    const part = field.message!.fields.find((one) => one.name === name);
    const problem = part === undefined ? `is no field of ${field.message!.typeName}` : groupKeyProblem(part);
    if (part !== undefined && key.includes(part)) errors.add(field.toString(), `key "${name}" is named twice`);
    else if (problem !== undefined) errors.add(field.toString(), `key "${name}" ${problem}`);
    if (part !== undefined) key.push(part);
  }
  return key;
}

/** The sibling that a mean is worked out from. */
function summedSibling(field: DescField, name: string, part: "sum" | "count", errors: ServiceErrors) {
  const sibling = field.parent.fields.find((one) => one.name === name);
  if (sibling === undefined || getOption(sibling, merge).operator.case !== "sum") {
    return errors.add(field.toString(), `avg needs as its ${part} a field with a sum rule, not "${name}"`);
  }
  if (part === "count" && valueTypeOf(sibling).kind !== "integer") {
    return errors.add(field.toString(), `avg needs a count of integers, not "${name}"`);
  }
  return sibling;
}

function ruleName(operator: Operator): string {
  return operator.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** What the operator needs where the field is something else. */
function wrongType(field: DescField, operator: Operator, type: ValueType): string | undefined {
  const isList = field.fieldKind === "list";
  const isSingular = !isList && field.fieldKind !== "map";
  switch (operator) {
    case "sum": {
      const isNumber = type.kind === "integer" || type.kind === "real" || type.kind === "decimal";
      return isSingular && isNumber ? undefined : "a number or a Decimal";
    }
    case "min":
    case "max":
      if (!isSingular || !isComparable(type)) return "a number, string, bytes, enum, Decimal, Timestamp or Duration";
      return hasPresence(field) ? undefined : "presence (`optional`): a shard without rows has no such value";
    case "avg":
      if (!isSingular || type.kind !== "real" || type.single) return "a double";
      return hasPresence(field) ? undefined : "presence (`optional`): there is no mean of nothing";
    case "any":
    case "all":
      return isSingular && type.kind === "bool" ? undefined : "a bool";
    case "bitOr":
      return isSingular && type.kind === "integer" ? undefined : "an integer";
    case "countOf":
      return isSingular && type.kind === "integer" ? undefined : "an integer";
    case "first":
      return undefined;
    case "concat":
      return isList ? undefined : "a repeated field";
    case "distinct":
      return isList && isOrdered(type) ? undefined : "a repeated field of values that have an order";
    case "sorted":
    case "group":
      return field.fieldKind === "list" && field.listKind === "message" ? undefined : "a repeated message";
    case "nested":
      return isSingular && type.kind === "message" ? undefined : "a singular message of the service's own";
  }
}

/** Messages are ordered by their fields, when each of them has an order. */
function isOrdered(type: ValueType): boolean {
  if (type.kind !== "message") return type.kind !== "map";
  return type.message.fields.every((field) => {
    const inner = valueTypeOf(field);
    const isSingular = field.fieldKind !== "list" && field.fieldKind !== "map" && field.oneof === undefined;
    return isSingular && inner.kind !== "message" && inner.kind !== "map";
  });
}
