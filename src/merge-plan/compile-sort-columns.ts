import type { DescMessage } from "@bufbuild/protobuf";
import type { SortKey } from "../wire/generated/skynetes/v1/merge_pb.ts";
import { valueTypeOf } from "../wire/value-type.ts";
import type { SortColumn } from "./method-plan.ts";
import type { ServiceErrors } from "./service-errors.ts";

/** The fields that rows are ordered by; `where` is the field or method that says so. */
export function compileSortColumns(
  row: DescMessage,
  keys: readonly SortKey[],
  where: string,
  errors: ServiceErrors,
): readonly SortColumn[] {
  const columns: SortColumn[] = [];
  for (const { field: name, descending } of keys) {
    const field = row.fields.find((one) => one.name === name);
    if (field === undefined) errors.add(where, `sorted by "${name}", which is no field of ${row.typeName}`);
    else if (columns.some((column) => column.field === field)) errors.add(where, `sorted by "${name}" twice`);
    else if (field.oneof !== undefined) errors.add(where, `sorted by "${name}", which is a member of a oneof`);
    else if (field.fieldKind === "list" || field.fieldKind === "map" || valueTypeOf(field).kind === "message") {
      errors.add(where, `sorted by "${name}", whose values have no order`);
    } else columns.push({ field, descending });
  }
  return columns;
}
