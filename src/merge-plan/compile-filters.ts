import type { DescMessage } from "@bufbuild/protobuf";
import { type ColumnFilter, FilterOperator, type MethodRule } from "../wire/generated/skynetes/v1/merge_pb.ts";
import { valueTypeOf } from "../wire/value-type.ts";
import type { PruningFilter } from "./method-plan.ts";
import type { ServiceErrors } from "./service-errors.ts";

/** Which request fields let the gateway leave out shards. */
export function compileFilters(
  request: DescMessage,
  rule: MethodRule,
  errors: ServiceErrors,
): readonly PruningFilter[] {
  return rule.filters.flatMap((filter) => compileFilter(request, filter, errors) ?? []);
}

function compileFilter(request: DescMessage, filter: ColumnFilter, errors: ServiceErrors): PruningFilter | undefined {
  const { table, column } = filter;
  const where = `${request.typeName} filter on ${table}.${column}`;
  const field = request.fields.find((one) => one.name === filter.field);
  if (field === undefined) return errors.add(where, `"${filter.field}" is no field of the request`);
  if (field.fieldKind === "list" || field.fieldKind === "map" || field.oneof !== undefined) {
    return errors.add(where, `field "${filter.field}" must be singular and no member of a oneof`);
  }
  if (valueTypeOf(field).kind === "message") return errors.add(where, `field "${filter.field}" has no order`);
  if (table === "" || column === "") return errors.add(where, "table and column must be named");
  const operator = operatorName(filter.operator);
  if (operator === undefined) return errors.add(where, "no operator");
  return { field, table, column, operator };
}

function operatorName(operator: FilterOperator): PruningFilter["operator"] | undefined {
  switch (operator) {
    case FilterOperator.EQUAL:
      return "equal";
    case FilterOperator.AT_LEAST:
      return "at-least";
    case FilterOperator.BELOW:
      return "below";
    default:
      return undefined;
  }
}
